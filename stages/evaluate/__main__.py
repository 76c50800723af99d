"""Measure the fine-tuned model on every split, each number with its interval, and compare it with two baselines.

Reads models/finetuned.safetensors, models/backbone.safetensors for the linear probe, data/prepared, how images are
stored and which belong together, plots/history.csv, metrics/curvature.json, to which the learning rate is compared, and
the folder of unknown images that evaluate.unknown.images names. Computes in float32, whatever the training used. This
stage alone reads the test split, after everything is chosen; nothing is chosen by it.
Writes plots/measures.csv, all measures; metrics/evaluate.json, the few that DVC shows; and further tables under plots/:
predictions.csv (one row an image), per_class.csv, slices.csv, reliability.csv, roc.csv, precision_recall.csv and
label_doubts.csv.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from plumbline.audit.tables import read_clusters
from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.model_file import Model, read_model
from plumbline.params.evaluate import Evaluate
from plumbline.results.measures_file import Measure, Measures, write_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.results.tables import read_metrics, read_table
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import BACKBONE, CURVATURE, FINETUNED, HISTORY
from plumbline.run.timing import timed
from plumbline.training.compute import Compute, choose_compute, make_repeatable, nondeterministic_operations
from plumbline.training.inference import features_of, logits_and_distances, logits_of
from plumbline.training.same_data import refuse_other_data
from plumbline.training.splits import Split, read_splits
from stages.evaluate.baseline_models import baseline_measures
from stages.evaluate.calibration import reliability_table
from stages.evaluate.caveats import (
    accuracy_gain_by_choice,
    lr_over_curvature_limit,
    print_few_mistakes,
    print_recall_of_new_images,
)
from stages.evaluate.images_that_belong_together import (
    Clusters,
    accuracy_without_copies,
    clusters_within,
    print_clusters,
)
from stages.evaluate.label_doubts import COLUMNS, doubts, out_of_fold_probabilities
from stages.evaluate.looks import looks_of
from stages.evaluate.measures import per_class_table, split_measures
from stages.evaluate.predictions import SplitPredictions, cross_fitted, predictions_of, predictions_table
from stages.evaluate.promised_threshold import KINDS, measures_with_promise
from stages.evaluate.recipe import recipe_of
from stages.evaluate.roc_curves import curve_tables
from stages.evaluate.shortcuts import lines_of_shortcuts, shortcut_measures
from stages.evaluate.slices import line_of_weakest, slices_table
from stages.evaluate.threshold import choose_threshold, cross_fitted_measures, measures_at
from stages.evaluate.unknown_images import Distances, distances_of_unknown, line_of_unknown, p_values, unknown_measures

METRICS = Path("metrics/evaluate.json")
KEPT_BY = (
    "epoch",
    "val_loss",
    "val_accuracy",
)  # the columns of the history that say what a choice by val may have gained
PER_CLASS = Path("plots/per_class.csv")
SLICES = Path("plots/slices.csv")
RELIABILITY = Path("plots/reliability.csv")
ROC = Path("plots/roc.csv")
PRECISION_RECALL = Path("plots/precision_recall.csv")
DOUBTS = Path("plots/label_doubts.csv")


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


def predict(
    network: nn.Module, model: Model, splits: dict[str, Split], clusters: Clusters, compute: Compute
) -> tuple[dict[str, SplitPredictions], Distances]:
    """Return the model's predictions on every split, and how far its images are, if the model knows."""
    found, distances = {}, {}
    for name, split in tqdm(splits.items(), "the model", unit="split", disable=None):
        if model.has_score:
            logits, distances[name] = logits_and_distances(network, split.images, model.transform, compute)
        else:
            logits = logits_of(network, split.images, model.transform, compute)
        found[name] = SplitPredictions(
            plain=predictions_of(logits, split.labels, 1.0, clusters[name]),
            calibrated=predictions_of(logits, split.labels, model.temperature, clusters[name]),
        )
    return found, distances


def backbone_features(splits: dict[str, Split], transform: Transform, compute: Compute) -> dict[str, np.ndarray]:
    """Return the features of every split's images in the network before it was fine-tuned, (N, features)."""
    backbone = read_model(BACKBONE)
    network = compute.place(backbone.network())
    return {
        name: features_of(network, backbone.architecture, split.images, transform, compute).numpy()
        for name, split in tqdm(splits.items(), "the backbone", unit="split", disable=None)
    }


def measures_at_threshold(
    predictions: dict[str, SplitPredictions], positive: int, own: Evaluate, seed: int
) -> Measures:
    """Return, for two classes, the threshold that is chosen on val, and every split's measures at it.

    Val's are cross-fitted: each image is judged by a threshold that was chosen on the other folds.
    """
    val = predictions["val"].calibrated
    if val.classes == 2 and own.threshold.aim in KINDS:
        return measures_with_promise(predictions, positive, own.threshold, own.confidence)
    threshold = choose_threshold(val, positive, own.threshold) if val.classes == 2 else None
    if threshold is None:
        return {}
    found = {("val", "threshold"): Measure(threshold, len(val.labels))}
    for split, (_, calibrated) in predictions.items():
        if split == "val":
            at_threshold = cross_fitted_measures(calibrated, positive, own.threshold, own.folds, own.confidence, seed)
        else:
            at_threshold = measures_at(threshold, calibrated, positive, own.threshold, own.confidence)
        found |= {(split, name): measure for name, measure in at_threshold.items()}
    return found


def label_doubts(
    splits: dict[str, Split],
    predictions: dict[str, SplitPredictions],
    train_features: np.ndarray,
    classes: list[str],
    own: Evaluate,
    seed: int,
) -> pd.DataFrame:
    """Return the most doubtful labels of each split, at most `doubts` a split."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for name, split in splits.items():
        labels = split.labels.numpy()
        if name == "train":
            clusters = predictions[name].plain.clusters
            probabilities = out_of_fold_probabilities(train_features, labels, clusters, own.folds, seed)
        else:
            probabilities = predictions[name].calibrated.probabilities
        if probabilities is not None:
            tables.append(doubts(name, split.paths, labels, probabilities, classes).head(own.doubts))
    return stacked(tables)


def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of tables with the same columns, of which some may be empty."""
    return pd.concat([table for table in tables if len(table)] or tables[:1])


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


def main() -> None:
    settings = params_file.load(Params)
    own, seed = settings.evaluate, settings.seed
    model, classes, splits = read_model(FINETUNED), read_classes(), read_splits()
    refuse_other_data(FINETUNED, model, classes, splits)
    positive = positive_class(own.positive, classes)
    curvature, recipe = read_metrics(CURVATURE.stem), recipe_of(FINETUNED, model)
    labels = {name: split.labels.numpy() for name, split in splits.items()}
    numbers = read_clusters()
    clusters = {name: clusters_within(own) for name, own in numbers.items()}
    make_repeatable(seed, deterministic=model.is_repeatable)
    compute = choose_compute("float32")
    with timed("evaluate", sum(map(len, labels.values()))), nondeterministic_operations([]):
        network = compute.place(model.network_with_distance() or model.network())
        predictions, distances = predict(network, model, splits, clusters, compute)
        features = backbone_features(splits, model.transform, compute)
        measures: Measures = {("val", "temperature"): Measure(model.temperature, len(labels["val"]))}
        if (share := lr_over_curvature_limit(recipe, curvature, len(labels["train"]))) is not None:
            measures["train", "lr_over_curvature_limit"] = share
        fitted = cross_fitted(predictions["val"].plain, own.folds, seed)
        judged = predictions | ({"val": predictions["val"]._replace(calibrated=fitted)} if fitted else {})
        for name, of_split in judged.items():
            found = split_measures(of_split, positive, own, seed)
            measures |= {(name, measure): value for measure, value in found.items()}
        measures |= accuracy_without_copies(predictions, numbers, own.confidence)
        measures |= baseline_measures(labels, features, clusters, own.confidence)
        looks = {name: looks_of(name, split, numbers[name]) for name, split in splits.items()}
        measures |= shortcut_measures(labels, looks, clusters, own.confidence)
        measures |= measures_at_threshold(predictions, positive, own, seed)
        if model.has_score:
            last, folder = splits[list(splits)[-1]], Path(own.unknown.images)
            unknown = distances_of_unknown(network, last.images, folder, model.transform, compute, seed)
            measures |= unknown_measures(network.score, distances, unknown, clusters, own.unknown.keep, own.confidence)
        doubtful = label_doubts(splits, predictions, features["train"], classes, own, seed)
    if "test" not in splits:
        gain = accuracy_gain_by_choice(read_table(HISTORY, columns=KEPT_BY), recipe["keep"], recipe["patience"])
        measures["val", "accuracy_gain_by_choice"] = Measure(gain, len(labels["val"]))
    calibrated = {name: of_split.calibrated for name, of_split in predictions.items()}
    for name in splits:
        print(line_of(name, measures, own.confidence))
    if line := line_of_unknown(measures, list(splits)[-1], own.unknown.keep):
        print(line)
    elif not model.has_score:
        print(f"{FINETUNED} has no score of unknown images: none can be called so", file=sys.stderr)
    print_clusters(calibrated, measures, own.confidence)
    print_few_mistakes(calibrated, positive, classes)
    slices = stacked(
        [
            slices_table(name, calibrated[name].right, looks[name], clusters[name], own.confidence)
            for name in list(splits)[1:]
        ]
    )
    last = list(splits)[-1]
    for line in filter(None, [line_of_weakest(slices, last, own.confidence), *lines_of_shortcuts(measures, last)]):
        print(line)
    if ("val", "threshold") in measures and own.threshold.aim == "recall":
        print_recall_of_new_images(own.threshold.minimum_recall)
    tables = [
        predictions_table(name, splits[name], after, numbers[name], classes) for name, after in calibrated.items()
    ]
    if model.has_score:
        tables = [
            table.assign(p_known=p_values(network.score, distances[name]) if name != "train" else np.nan)
            for name, table in zip(calibrated, tables, strict=True)
        ]
    write_csv(PREDICTIONS, pd.concat(tables))
    write_csv(PER_CLASS, pd.concat([per_class_table(name, after, classes) for name, after in calibrated.items()]))
    write_csv(SLICES, slices)
    reliability = [reliability_table(name, both, own.calibration_bins) for name, both in judged.items()]
    write_csv(RELIABILITY, pd.concat(reliability))
    write_csv(DOUBTS, doubtful)
    curves = [curve_tables(name, after, positive, classes) for name, after in calibrated.items()]
    write_csv(ROC, stacked([curve.roc for curve in curves]))
    write_csv(PRECISION_RECALL, stacked([curve.precision_recall for curve in curves]))
    write_measures({key: measures[key] for name in splits for key in measures if key[0] == name})
    write_json(METRICS, headline(measures, "test" if "test" in splits else "val"))


if __name__ == "__main__":
    run(main)
