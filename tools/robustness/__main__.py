"""Measure the trained model on the test images after common corruptions, each at five severities.

    python -m tools.robustness                      the workspace's model on test, or on val where there is no test
    python -m tools.robustness --split val          choose by val, and look at test once, at the end
    python -m tools.robustness --model faster       the model of a commit, branch, tag or experiment; or a file
    python -m tools.robustness --against faster     compare with that model, on the same changed images

Reads the model, data/prepared and data/audit; `seed` and section `evaluate` of params.yaml decide the noise and the
intervals. The images are changed as `prepare` holds them, before the transform. Writes plots/robustness.csv and
plots/robustness.png, and with --against plots/robustness_difference.csv; neither git nor DVC holds them. The same model
and images give the same bytes.
"""

import argparse
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from tqdm import tqdm

from plumbline.audit.tables import read_clusters
from plumbline.classifier import Classifier
from plumbline.data.prepared import read_classes
from plumbline.model.model_file import read_model
from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import clusters_within
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv
from plumbline.training.device_and_precision import make_repeatable, nondeterministic_operations
from plumbline.training.model_fits_data import refuse_other_data
from plumbline.training.splits import Split, read_splits
from tools.command_line import add_model, model_file
from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from tools.robustness.differences import difference_as_text, difference_table, relative_difference
from tools.robustness.figure import write_figure
from tools.robustness.results import Answers, as_text, relative_accuracy, results_table

TABLE = Path("plots/robustness.csv")
FIGURE = Path("plots/robustness.png")
DIFFERENCE = Path("plots/robustness_difference.csv")


class Params(SomeSections):
    seed: Seed
    evaluate: Evaluate


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        "python -m tools.robustness", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--split", help="default: test, or val where there is no test")
    add_model(parser)
    parser.add_argument(
        "--against",
        metavar="MODEL",
        help="file, or a revision that has a model: how much better --model is than this one",
    )
    return parser.parse_args()


def chosen_split(wish: str | None, splits: dict[str, Split]) -> str:
    """Return the split's name: the one given, else the last. Raises UserError for one without images."""
    if wish is not None and wish not in splits:
        raise UserError(f"--split is {wish}, and data/prepared has {', '.join(splits)}")
    return wish or list(splits)[-1]


def right_answers(classifiers: list[Classifier], split: Split, seed: int) -> list[Answers]:
    """Return whether each model is right on each image of a split as it is, and after each corruption.

    All see the same images: a blur and a shift are as wide as the first model's crop says.
    """
    images, size, crop = len(split.labels), classifiers[0].batch_size, classifiers[0].transform.crop
    labels = np.array([classifiers[0].classes[label] for label in split.labels.tolist()])
    right = {
        key: np.empty((len(classifiers), images), bool)
        for key in [None, *((name, i) for name in CORRUPTIONS for i in SEVERITIES)]
    }
    with tqdm(total=images * len(right), unit="image", disable=None) as progress:
        for start in range(0, images, size):
            batch = slice(start, start + size)
            pixels, files = split.images[batch].numpy(), split.sha256[batch]
            for key, is_right in right.items():
                changed = pixels if key is None else corrupted(pixels, files, *key, crop, seed)
                for place, classifier in enumerate(classifiers):
                    answers = [each.predicted for each in classifier.classify(changed)]
                    is_right[place, batch] = np.array(answers) == labels[batch]
                progress.update(len(pixels))
    clean = right.pop(None)
    return [
        Answers(clean[place], {key: is_right[place] for key, is_right in right.items()})
        for place in range(len(classifiers))
    ]


def main() -> None:
    given, params = arguments(), params_file.load(Params)
    settings, splits = params.evaluate, read_splits()
    name = chosen_split(given.split, splits)
    names = [given.model, given.against] if given.against else [given.model]
    with nondeterministic_operations([]), ExitStack() as files:
        models = [read_model(files.enter_context(model_file(each))) for each in names]
        for each, model in zip(names, models, strict=True):
            refuse_other_data(Path(each), model, read_classes(), splits)
        make_repeatable(params.seed, deterministic=all(model.is_repeatable for model in models))
        answers = right_answers([Classifier(model) for model in models], splits[name], params.seed)
    for each, of_model in zip(names, answers, strict=True):
        if not of_model.clean.any():
            raise UserError(f"{each} is right on none of the {name} images as they are: there is nothing to lose")
    clusters = clusters_within(read_clusters()[name])
    table = results_table(answers[0], clusters, settings.confidence)
    drawing = splits[name].labels.numpy(), clusters, settings, params.seed
    write_csv(TABLE, table)
    write_figure(FIGURE, table, name, settings.confidence)
    print(as_text(table, relative_accuracy(answers[0], *drawing), name, settings.confidence))
    print(f"{TABLE} has all intervals, {FIGURE} shows them", file=sys.stderr)
    if given.against:
        differences = difference_table(*answers, clusters, settings.confidence)
        write_csv(DIFFERENCE, differences)
        relative = relative_difference(answers, *drawing)
        print(f"\n{difference_as_text(differences, relative, names, settings.confidence)}")
        print(f"{DIFFERENCE} has all intervals", file=sys.stderr)


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
