"""Pool the folds of one recipe, or compare two recipes over the same folds: every image is judged once.

    python -m tools.folds f0 f1 f2 f3 f4                  one recipe: each measure on all images
    python -m tools.folds a0 a1 a2 b0 b1 b2               two recipes, three folds each: also their difference
    python -m tools.folds fold0/ fold1/ fold2/            workspaces, by their folders

Run the folds with `dvc exp run --queue -S data.fold=0,1,2,3,4 evaluate`; `dvc exp show` has the experiments' names.
Reads plots/predictions.csv and the parameters of each commit, branch, tag, experiment or folder; changes nothing.
"""

import argparse

from plumbline.run.errors import run
from tools.command_line import add_form, print_in_form, share
from tools.folds.pooling import pool, read_fold, recipes_of
from tools.folds.printing import as_text
from tools.folds.results import results_of


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.folds", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folds", nargs="+", metavar="REVISION", help="a commit, a branch, an experiment or a folder")
    parser.add_argument("--confidence", type=share, default=0.95, help="of the intervals; default: 0.95")
    add_form(parser)
    return parser.parse_args()


def main() -> None:
    given = arguments()
    pooled = [pool(recipe) for recipe in recipes_of([read_fold(name) for name in given.folds])]
    print_in_form(results_of(pooled, given.confidence), as_text, given)


if __name__ == "__main__":
    run(main)
