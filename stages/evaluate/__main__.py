"""Measure the fine-tuned model on every split, each number with its interval, and compare it with two baselines.

Reads models/finetuned.safetensors, models/backbone.safetensors for the linear probe, data/prepared, how images are
stored and which belong together, plots/history.csv, metrics/curvature.json, to which the learning rate is compared, and
the folder of unknown images that evaluate.unknown.images names. Computes in float32, whatever the training used. This
stage alone measures on the test split, after everything is chosen; nothing is chosen by it.
Writes plots/measures.csv, all measures; metrics/evaluate.json, the few that DVC shows; and further tables under plots/:
predictions.csv (one row an image), per_class.csv, slices.csv, reliability.csv, roc.csv, precision_recall.csv,
label_doubts.csv and similar_images.csv.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from plumbline.audit.tables import read_clusters
from plumbline.data.prepared import read_classes
from plumbline.model.model_file import read_model
from plumbline.params.evaluate import Evaluate
from plumbline.results.measures_file import Measures, write_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import FINETUNED
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import choose_compute, make_repeatable, nondeterministic_operations
from plumbline.training.model_fits_data import refuse_other_data
from plumbline.training.splits import read_splits
from stages.evaluate.calibration import reliability_table
from stages.evaluate.caveats import print_few_mistakes, print_recall_of_new_images
from stages.evaluate.evaluation import Evaluated, Evaluation, evaluate, stacked
from stages.evaluate.images_that_belong_together import print_clusters
from stages.evaluate.measures import per_class_table
from stages.evaluate.prediction_sets import line_of_sets
from stages.evaluate.predictions import predictions_table
from stages.evaluate.roc_curves import curve_tables
from stages.evaluate.shortcuts import lines_of_shortcuts
from stages.evaluate.similar_images import lines_of_similar
from stages.evaluate.slices import line_of_weakest
from stages.evaluate.unknown_images import line_of_unknown

METRICS = Path("metrics/evaluate.json")
PER_CLASS = Path("plots/per_class.csv")
SLICES = Path("plots/slices.csv")
RELIABILITY = Path("plots/reliability.csv")
ROC = Path("plots/roc.csv")
PRECISION_RECALL = Path("plots/precision_recall.csv")
DOUBTS = Path("plots/label_doubts.csv")
SIMILAR = Path("plots/similar_images.csv")


class Params(SomeSections):
    seed: Seed
    evaluate: Evaluate


def positive_class(wish: str | None, classes: list[str]) -> int:
    """Return the positive class's label: `evaluate.positive`, by default the last. Raises UserError for no class."""
    if wish is None:
        return len(classes) - 1
    if wish not in classes:
        raise UserError(f"evaluate.positive is {wish!r}, which is no class: choose one of {', '.join(classes)}")
    return classes.index(wish)


def headline(measures: Measures, split: str) -> dict[str, float]:
    """Return what `dvc metrics` shows: the accuracy with its interval and the loss on `split`, and the val accuracy.

    Five short names, so that `dvc metrics show metrics/evaluate.json` fits 100 columns.
    """
    accuracy = measures[split, "accuracy"]
    return {
        f"{split}_accuracy": accuracy.value,
        f"{split}_low": accuracy.low,
        f"{split}_high": accuracy.high,
        f"{split}_loss": measures[split, "loss"].value,
        "val_accuracy": measures["val", "accuracy"].value,
    }


def line_of(split: str, measures: Measures, confidence: float) -> str:
    """Return the line that the stage prints of a split: the accuracy, and those of the baselines."""
    accuracy = measures[split, "accuracy"]
    return (
        f"{split:5}  accuracy {accuracy.value:.3f}, {confidence:.0%} interval [{accuracy.low:.3f}, "
        f"{accuracy.high:.3f}], {accuracy.images} images; commonest class "
        f"{measures[split, 'majority_accuracy'].value:.3f}, linear probe {measures[split, 'probe_accuracy'].value:.3f}"
    )


def print_lines(evaluated: Evaluated, evaluation: Evaluation, settings: Evaluate) -> None:
    """Print the accuracies, and what a reader of them must know: caveats to stderr."""
    measures, last = evaluation.measures, evaluated.last_split
    for name in evaluated.splits:
        print(line_of(name, measures, settings.confidence))
    if line := line_of_unknown(measures, last, settings.unknown.keep):
        print(line)
    elif not evaluated.model.has_score:
        print(f"{FINETUNED} has no score of unknown images: none can be called so", file=sys.stderr)
    if line := line_of_sets(measures, last, settings.coverage):
        print(line)
    print_clusters(evaluation.predictions, measures, settings.confidence)
    images = {name: len(split.labels) for name, split in evaluated.splits.items()}
    for line in lines_of_similar(evaluation.similar, images):
        print(line)
    print_few_mistakes(evaluation.predictions, evaluated.positive, evaluated.classes)
    for line in [line_of_weakest(evaluation.slices, last, settings.confidence), *lines_of_shortcuts(measures, last)]:
        if line:
            print(line)
    if ("val", "threshold") in measures and settings.threshold.aim == "recall":
        print_recall_of_new_images(settings.threshold.minimum_recall)


def write_tables(evaluated: Evaluated, evaluation: Evaluation, bins: int) -> None:
    """Write all tables, and the few numbers that DVC shows."""
    classes, measures = evaluated.classes, evaluation.measures
    write_csv(PREDICTIONS, pd.concat(tables_of_predictions(evaluated, evaluation)))
    per_class = [per_class_table(name, after, classes) for name, after in evaluation.predictions.items()]
    write_csv(PER_CLASS, pd.concat(per_class))
    write_csv(SLICES, evaluation.slices)
    reliability = [reliability_table(name, both, bins) for name, both in evaluation.for_calibration.items()]
    write_csv(RELIABILITY, pd.concat(reliability))
    write_csv(DOUBTS, evaluation.doubts)
    write_csv(SIMILAR, evaluation.similar)
    curves = [curve_tables(name, after, evaluated.positive, classes) for name, after in evaluation.predictions.items()]
    write_csv(ROC, stacked([curve.roc for curve in curves]))
    write_csv(PRECISION_RECALL, stacked([curve.precision_recall for curve in curves]))
    write_measures({key: measures[key] for name in evaluated.splits for key in measures if key[0] == name})
    write_json(METRICS, headline(measures, "test" if "test" in evaluated.splits else "val"))


def tables_of_predictions(evaluated: Evaluated, evaluation: Evaluation) -> Iterator[pd.DataFrame]:
    """Yield each split's rows of predictions.csv, with the images' p-values where the model has a score."""
    for name, after in evaluation.predictions.items():
        table = predictions_table(name, evaluated.splits[name], after, evaluated.numbers[name], evaluated.classes)
        if evaluated.model.has_score:
            table["p_known"] = evaluation.p_known.get(name, np.nan)
        yield table


def main() -> None:
    params = params_file.load(Params)
    settings, seed = params.evaluate, params.seed
    model, classes, splits = read_model(FINETUNED), read_classes(), read_splits()
    refuse_other_data(FINETUNED, model, classes, splits)
    evaluated = Evaluated(model, classes, splits, read_clusters(), positive_class(settings.positive, classes))
    make_repeatable(seed, deterministic=model.is_repeatable)
    images = sum(len(split.labels) for split in splits.values())
    with timed("evaluate", images), nondeterministic_operations([]):
        evaluation = evaluate(evaluated, settings, seed, choose_compute("float32"))
    print_lines(evaluated, evaluation, settings)
    write_tables(evaluated, evaluation, settings.calibration_bins)


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
