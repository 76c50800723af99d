"""Compare the experiments of a sweep: a table, the best first, and a figure, both with the intervals.

    python -m tools.sweep                                the experiments on the current commit
    python -m tools.sweep main --output lr.svg           those on another commit; PNG or SVG, by the suffix
    python -m tools.sweep --parameter finetune.lr        over one or two parameters, where more differ

Reads plots/measures.csv and the parameters of each finished experiment, and plots/predictions.csv of the best, through
DVC; changes nothing but the figure. Choose by val, the default: a test accuracy by which you chose is optimistic.
"""

import argparse
import sys
from pathlib import Path

from plumbline.run.errors import UserError, run
from tools.sweep.experiments import read_sweep, varying
from tools.sweep.figure import write_figure
from tools.sweep.table import as_text

FIGURE = Path("plots/sweep.png")
SUFFIXES = (".png", ".svg")
MOST_DRAWN = 2  # parameters


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.sweep", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", nargs="?", default="HEAD", help="the commit that the experiments start from")
    parser.add_argument("--split", choices=("val", "test"), default="val", help="default: val")
    parser.add_argument(
        "--parameter", action="append", metavar="KEY", help="on the axes; may be given twice; default: all that differ"
    )
    parser.add_argument("--output", type=Path, default=FIGURE, metavar="FILE", help=f"default: {FIGURE}")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    return parser.parse_args()


def drawn_parameters(wished: list[str] | None, differing: list[str], experiments: int) -> list[str]:
    """Return the one or two parameters for the figure. Raises UserError for none, more than two or unknown ones."""
    unknown = [key for key in wished or [] if key not in differing]
    if unknown:
        raise UserError(f"{unknown[0]} is the same in all experiments: {', '.join(differing) or 'nothing'} differs")
    keys = list(dict.fromkeys(wished or differing))
    if not keys:
        raise UserError(f"no parameter differs between {experiments} experiments: there is nothing to draw")
    if len(keys) > MOST_DRAWN:
        raise UserError(f"{', '.join(keys)} differ, too many for a figure: name one or two with --parameter")
    return keys


def main() -> None:
    given = arguments()
    if given.output.suffix not in SUFFIXES:
        raise UserError(f"{given.output} is neither PNG nor SVG: end its name in {' or '.join(SUFFIXES)}")
    sweep = read_sweep(given.revision, given.split)
    differing = varying(sweep.experiments)
    print(as_text(sweep, differing, markdown=given.markdown))
    keys = drawn_parameters(given.parameter, differing, len(sweep.experiments))
    write_figure(given.output, sweep, keys)
    print(f"{given.output} shows them", file=sys.stderr)


if __name__ == "__main__":
    run(main)
