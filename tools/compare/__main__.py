"""Is the difference between revisions real? Pairs their predictions image by image, and tests the differences.

    python -m tools.compare                     HEAD and the workspace
    python -m tools.compare main faster         two revisions: commits, branches, tags, experiments or `workspace`
    python -m tools.compare seed0 seed1 seed2   several: every pair, corrected for their number
    python -m tools.compare a0 a1 a2 b0 b1 b2   two recipes with several seeds each: also over the seeds

Choose by val, the default: a test accuracy by which you chose is too high.

Reads plots/predictions.csv, plots/measures.csv and the parameters of each, through DVC; changes nothing.
"""

import argparse

from plumbline.run.errors import run
from tools.command_line import add_form, count, print_in_form, share
from tools.compare.comparison import METRICS, Settings, compare_many, compare_two
from tools.compare.pairing import paired
from tools.compare.printing import many_as_text, two_as_text
from tools.compare.revisions import WORKSPACE, in_split, read_revision

DEFAULT = ["HEAD", WORKSPACE]


def enough_resamples(text: str) -> int:
    return count(text, least=100)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revisions", nargs="*", metavar="REVISION", help="one alone is compared with the workspace")
    parser.add_argument("--metric", action="append", choices=METRICS, help="may be repeated; default: all")
    parser.add_argument("--split", help="default: val; test is for the end, once")
    parser.add_argument("--confidence", type=share, default=0.95, help="of the intervals; default: 0.95")
    parser.add_argument(
        "--resamples", type=enough_resamples, default=2000, help="of the bootstrap, at least 100; default: 2000"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap; default: 0")
    add_form(parser)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    names = given.revisions or DEFAULT
    names = [*names, WORKSPACE] if len(names) == 1 else names
    split, revisions = in_split([read_revision(name) for name in names], given.split)
    settings = Settings(given.metric or list(METRICS), given.confidence, given.resamples, given.seed)
    compare, as_text = (compare_two, two_as_text) if len(names) == 2 else (compare_many, many_as_text)
    result = compare(paired(revisions), split, settings)
    print_in_form(result, as_text, given)


if __name__ == "__main__":
    run(main)
