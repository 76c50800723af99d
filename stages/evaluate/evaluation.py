"""All that is measured of a model, its baselines and its data, before a table is written or a line printed."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import normalize
from torch import nn
from tqdm import tqdm

from plumbline.model.description import Transform
from plumbline.model.model_file import Model, read_model
from plumbline.model.val_images import val_images_of
from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import clusters_within
from plumbline.results.measures_file import Measure, Measures
from plumbline.results.tables import read_metrics, read_table
from plumbline.run.errors import UserError
from plumbline.run.paths import BACKBONE, CURVATURE, FINETUNED, HISTORY
from plumbline.training.device_and_precision import Compute
from plumbline.training.inference import features_of, logits_and_distances, logits_of
from plumbline.training.splits import Split
from stages.evaluate.abstaining import measures_with_abstaining
from stages.evaluate.appearance import appearance_of
from stages.evaluate.baseline_models import baseline_measures
from stages.evaluate.caveats import accuracy_gain_by_choice, lr_over_curvature_limit
from stages.evaluate.feature_clusters import feature_clusters
from stages.evaluate.images_that_belong_together import Clusters, accuracy_without_copies
from stages.evaluate.label_doubts import COLUMNS, doubts, out_of_fold_probabilities
from stages.evaluate.measures import split_measures
from stages.evaluate.prediction_sets import set_measures
from stages.evaluate.predictions import Predictions, SplitPredictions, cross_fitted, predictions_of
from stages.evaluate.promised_threshold import KINDS, measures_with_promise
from stages.evaluate.recipe import recipe_of
from stages.evaluate.shortcuts import shortcut_measures
from stages.evaluate.similar_images import similar_images
from stages.evaluate.slices import slices_table
from stages.evaluate.threshold import choose_threshold, cross_fitted_measures, measures_at
from stages.evaluate.unknown_images import Distances, distances_of_unknown, p_values, unknown_measures

ANY_CLASSES = ("accuracy", "promised_accuracy", "abstain")  # aims for more than two; of accuracy there is no threshold
KEPT_BY = ("epoch", "val_loss", "val_accuracy")  # what of the history says what a choice by val may have gained


@dataclass(frozen=True)
class Evaluated:
    """What is evaluated: a model, the images of every split, and which of them belong together."""

    model: Model
    classes: list[str]
    splits: dict[str, Split]
    numbers: dict[str, np.ndarray]  # by split, int (N,): the same for images that belong together, over all splits
    positive: int  # the label of the positive class

    @property
    def last_split(self) -> str:
        """The split that nothing was chosen by: test, or val where there is none."""
        return list(self.splits)[-1]

    @property
    def clusters(self) -> Clusters:
        """By split the numbers of its images, where some belong together."""
        return {name: clusters_within(numbers) for name, numbers in self.numbers.items()}

    @property
    def labels(self) -> dict[str, np.ndarray]:
        """By split the labels, int (N,)."""
        return {name: split.labels.numpy() for name, split in self.splits.items()}


@dataclass(frozen=True)
class Evaluation:
    """What was measured: all that the stage's tables and lines are made of."""

    predictions: dict[str, Predictions]  # by split, after the temperature
    for_calibration: dict[str, SplitPredictions]  # the same and before it; val's after temperatures of other folds
    measures: Measures
    slices: pd.DataFrame
    doubts: pd.DataFrame
    similar: pd.DataFrame  # images that look like one of train
    p_known: dict[str, np.ndarray]  # by split but train, float64 (N,); of a model without a score, empty


def evaluate(evaluated: Evaluated, settings: Evaluate, seed: int, compute: Compute) -> Evaluation:
    """Run the model and its backbone on every split, and measure all that the stage writes.

    Raises UserError if the folder of unknown images holds none.
    """
    model, splits = evaluated.model, evaluated.splits
    network = compute.place(model.network_with_distance() or model.network())
    predictions, distances = predict(network, evaluated, compute)
    features = backbone_features(splits, model.transform, compute)
    fitted = cross_fitted(predictions["val"].plain, settings.folds, seed)
    judged = predictions | ({"val": predictions["val"]._replace(calibrated=fitted)} if fitted else {})
    appearance = {name: appearance_of(name, split, evaluated.numbers[name]) for name, split in splits.items()}
    measures = measures_of_recipe(evaluated)
    for name, of_split in judged.items():
        values = split_measures(of_split, predictions[name].calibrated, evaluated.positive, settings, seed)
        measures |= {(name, measure): value for measure, value in values.items()}
    measures |= accuracy_without_copies(predictions, evaluated.numbers, settings.confidence)
    measures |= baseline_measures(evaluated.labels, features, evaluated.clusters, settings.confidence)
    measures |= shortcut_measures(evaluated.labels, appearance, evaluated.clusters, settings.confidence)
    measures |= measures_at_threshold(predictions, evaluated.positive, settings, seed)
    if model.has_score:
        measures |= measures_of_unknown_images(network, distances, evaluated, settings, seed, compute)
    measures |= measures_of_sets(predictions, evaluated, settings, seed)
    if "test" not in splits:
        measures["val", "accuracy_gain_by_choice"] = gain_by_choice(evaluated)
    calibrated = {name: of_split.calibrated for name, of_split in predictions.items()}
    paths = {name: split.paths for name, split in splits.items()}
    directions = {name: normalize(vectors) for name, vectors in features.items()}
    for name, of_split in feature_clusters(paths["train"], directions, seed).items():
        appearance[name]["cluster of features"] = of_split
    return Evaluation(
        predictions=calibrated,
        for_calibration=judged,
        measures=measures,
        slices=slices_of_splits(calibrated, appearance, settings.confidence),
        doubts=label_doubts(splits, predictions, features["train"], evaluated.classes, settings, seed),
        similar=similar_images(paths, directions, evaluated.numbers),
        p_known={name: p_values(network.score, distances[name]) for name in distances if name != "train"},
    )


def measures_of_unknown_images(
    network: nn.Module, distances: Distances, evaluated: Evaluated, settings: Evaluate, seed: int, compute: Compute
) -> Measures:
    """Return how many images of the last split, and of kinds that are unknown, are called so."""
    known, transform = evaluated.splits[evaluated.last_split].images, evaluated.model.transform
    folder = None if settings.unknown.images is None else Path(settings.unknown.images)
    unknown = distances_of_unknown(network, known, folder, transform, compute, seed)
    return unknown_measures(
        network.score, distances, unknown, evaluated.clusters, settings.unknown.keep, settings.confidence
    )


def measures_of_recipe(evaluated: Evaluated) -> Measures:
    """Return the temperature, and the learning rate as a share of the curvature's limit, where that is known."""
    model, labels = evaluated.model, evaluated.labels
    measures: Measures = {("val", "temperature"): Measure(model.temperature, len(labels["val"]))}
    curvature, recipe = read_metrics(CURVATURE.stem), recipe_of(FINETUNED, model)
    if (share := lr_over_curvature_limit(recipe, curvature, len(labels["train"]))) is not None:
        measures["train", "lr_over_curvature_limit"] = share
    return measures


def gain_by_choice(evaluated: Evaluated) -> Measure:
    """Return how much of the val accuracy the choice of an epoch by it may have gained."""
    recipe = recipe_of(FINETUNED, evaluated.model)
    gain = accuracy_gain_by_choice(read_table(HISTORY, columns=KEPT_BY), recipe["keep"], recipe["patience"])
    return Measure(gain, len(evaluated.labels["val"]))


def predict(
    network: nn.Module, evaluated: Evaluated, compute: Compute
) -> tuple[dict[str, SplitPredictions], Distances]:
    """Return the model's predictions on every split, and how far its images are, if the model knows."""
    predictions, distances, model, clusters = {}, {}, evaluated.model, evaluated.clusters
    for name, split in tqdm(evaluated.splits.items(), "the model", unit="split", disable=None):
        if model.has_score:
            logits, distances[name] = logits_and_distances(network, split.images, model.transform, compute)
        else:
            logits = logits_of(network, split.images, model.transform, compute)
        refuse_not_finite(logits, split.paths)
        predictions[name] = SplitPredictions(
            plain=predictions_of(logits, split.labels, 1.0, clusters[name]),
            calibrated=predictions_of(logits, split.labels, model.temperature, clusters[name]),
        )
    return predictions, distances


def refuse_not_finite(logits: torch.Tensor, paths: list[str]) -> None:
    """Raise UserError where the model gives an image, of these paths, something else than numbers (N, classes)."""
    not_finite = ~logits.isfinite().all(dim=1)
    if not_finite.any():
        raise UserError(
            f"the model gives no finite number for {int(not_finite.sum()):,} images, "
            f"{paths[int(not_finite.int().argmax())]} the first: its weights are damaged, or it diverged; train it "
            "again with a lower finetune.lr"
        )


def backbone_features(splits: dict[str, Split], transform: Transform, compute: Compute) -> dict[str, np.ndarray]:
    """Return the features of every split's images in the network before it was fine-tuned, (N, features)."""
    backbone = read_model(BACKBONE)
    network = compute.place(backbone.network())
    return {
        name: features_of(network, backbone.architecture, split.images, transform, compute).numpy()
        for name, split in tqdm(splits.items(), "the backbone", unit="split", disable=None)
    }


def measures_at_threshold(
    predictions: dict[str, SplitPredictions], positive: int, settings: Evaluate, seed: int
) -> Measures:
    """Return the threshold that is chosen on val, if the aim has one, and every split's measures at it.

    Val's are cross-fitted: each image is judged by a threshold that was chosen on the other folds. Raises UserError for
    an aim that is for two classes alone where there are more.
    """
    val, aim = predictions["val"].calibrated, settings.threshold.aim
    if val.classes != 2 and aim not in ANY_CLASSES:
        raise UserError(
            f"evaluate.threshold.aim is {aim}, which is for two classes, and there are {val.classes:,}: choose one of "
            f"{', '.join(ANY_CLASSES)}"
        )
    if aim == "abstain":
        return measures_with_abstaining(predictions, settings, seed)
    if aim in KINDS:
        return measures_with_promise(predictions, positive, settings.threshold, settings.confidence)
    threshold = choose_threshold(val, positive, settings.threshold) if val.classes == 2 else None
    if threshold is None:
        return {}
    measures = {("val", "threshold"): Measure(threshold, len(val.labels))}
    for split, (_, calibrated) in predictions.items():
        if split == "val":
            at_threshold = cross_fitted_measures(
                calibrated, positive, settings.threshold, settings.folds, settings.confidence, seed
            )
        else:
            at_threshold = measures_at(threshold, calibrated, positive, settings.threshold, settings.confidence)
        measures |= {(split, name): measure for name, measure in at_threshold.items()}
    return measures


def measures_of_sets(
    predictions: dict[str, SplitPredictions], evaluated: Evaluated, settings: Evaluate, seed: int
) -> Measures:
    """Return what is measured of prediction sets on test; of val, which sets their thresholds, nothing."""
    val = val_images_of(evaluated.model.tensors, len(evaluated.classes))
    if val is None or "test" not in predictions:
        return {}
    measures = set_measures(val, predictions["test"].calibrated, settings, seed)
    return {("test", name): measure for name, measure in measures.items()}


def label_doubts(
    splits: dict[str, Split],
    predictions: dict[str, SplitPredictions],
    train_features: np.ndarray,
    classes: list[str],
    settings: Evaluate,
    seed: int,
) -> pd.DataFrame:
    """Return the most doubtful labels of each split, at most `doubts` a split."""
    tables = [pd.DataFrame(columns=COLUMNS)]
    for name, split in splits.items():
        labels = split.labels.numpy()
        if name == "train":
            clusters = predictions[name].plain.clusters
            probabilities = out_of_fold_probabilities(train_features, labels, clusters, settings.folds, seed)
        else:
            probabilities = predictions[name].calibrated.probabilities
        if probabilities is not None:
            tables.append(doubts(name, split.paths, labels, probabilities, classes).head(settings.doubts))
    return stacked(tables)


def slices_of_splits(
    predictions: dict[str, Predictions], appearance: dict[str, pd.DataFrame], confidence: float
) -> pd.DataFrame:
    """Return the accuracy on the slices of each split but train."""
    tables = [
        slices_table(name, of_split.right, appearance[name], of_split.clusters, confidence)
        for name, of_split in predictions.items()
        if name != "train"
    ]
    return stacked(tables)


def stacked(tables: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of tables with the same columns, of which some may be empty."""
    return pd.concat([table for table in tables if len(table)] or tables[:1])
