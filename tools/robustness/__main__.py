"""Measure the trained model on the test images after common corruptions, each at five severities.

    python -m tools.robustness                      the workspace's model on test, or on val where there is no test
    python -m tools.robustness --split val          choose by val, and look at test once, at the end
    python -m tools.robustness --model faster       the model of a commit, branch, tag or experiment; or a file

Reads the model, data/prepared and data/audit; `seed` and section `evaluate` of params.yaml decide the noise and the
intervals. The images are changed as `prepare` holds them, before the transform. Writes plots/robustness.csv and
plots/robustness.png, which neither git nor DVC holds. The same model and images give the same bytes.
"""

import argparse
import sys
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
from plumbline.training.compute import make_repeatable, nondeterministic_operations
from plumbline.training.model_fits_data import refuse_other_data
from plumbline.training.splits import Split, read_splits
from tools.command_line import add_model, model_file
from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupted
from tools.robustness.figure import write_figure
from tools.robustness.results import Answers, as_text, relative_accuracy, results_table

TABLE = Path("plots/robustness.csv")
FIGURE = Path("plots/robustness.png")


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
    return parser.parse_args()


def chosen_split(wish: str | None, splits: dict[str, Split]) -> str:
    """Return the split's name: the one given, else the last. Raises UserError for one without images."""
    if wish is not None and wish not in splits:
        raise UserError(f"--split is {wish}, and data/prepared has {', '.join(splits)}")
    return wish or list(splits)[-1]


def right_answers(classifier: Classifier, split: Split, seed: int) -> Answers:
    """Return whether the model is right on each image of a split as it is, and after each corruption."""
    images, size = len(split.labels), classifier.batch_size
    labels = [classifier.classes[label] for label in split.labels.tolist()]
    right = {key: np.empty(images, bool) for key in [None, *((name, i) for name in CORRUPTIONS for i in SEVERITIES)]}
    with tqdm(total=images * len(right), unit="image", disable=None) as progress:
        for start in range(0, images, size):
            batch = slice(start, start + size)
            pixels, files = split.images[batch].numpy(), split.sha256[batch]
            for key, own in right.items():
                changed = pixels if key is None else corrupted(pixels, files, *key, classifier.transform.crop, seed)
                answers = [each.predicted for each in classifier.classify(changed)]
                own[batch] = np.array(answers) == np.array(labels[batch])
                progress.update(len(pixels))
    clean = right.pop(None)
    return Answers(clean, right)


def main() -> None:
    given, settings = arguments(), params_file.load(Params)
    own, splits = settings.evaluate, read_splits()
    name = chosen_split(given.split, splits)
    with nondeterministic_operations([]), model_file(given.model) as path:
        model = read_model(path)
        refuse_other_data(Path(given.model), model, read_classes(), splits)
        make_repeatable(settings.seed, deterministic=model.is_repeatable)
        answers = right_answers(Classifier(model), splits[name], settings.seed)
    if not answers.clean.any():
        raise UserError(f"{given.model} is right on none of the {name} images as they are: there is nothing to lose")
    clusters = clusters_within(read_clusters()[name])
    table = results_table(answers, clusters, own.confidence)
    labels = splits[name].labels.numpy()
    relative = relative_accuracy(answers, labels, clusters, own, settings.seed)
    write_csv(TABLE, table)
    write_figure(FIGURE, table, name, own.confidence)
    print(as_text(table, relative, name, own.confidence))
    print(f"{TABLE} has all intervals, {FIGURE} shows them", file=sys.stderr)


if __name__ == "__main__":
    run(main)
