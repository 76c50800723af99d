"""Two classes: the probability from which on an image is classified as the positive one, chosen on val."""

import math

import numpy as np

from plumbline.params.evaluate import Threshold
from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measure
from stages.evaluate.folds import folds_of
from stages.evaluate.predictions import Predictions


def choose_threshold(predictions: Predictions, positive: int, wish: Threshold) -> float | None:
    """Return the threshold that is best for the aim on these images; of several the one nearest to 0.5.

    An image is classified as positive if its probability is at least the threshold. None if a class has no image.
    """
    is_positive = predictions.labels == positive
    if is_positive.all() or not is_positive.any():
        return None
    candidates = thresholds(predictions.probabilities[:, positive])
    counts = counts_at(candidates, predictions.probabilities[:, positive], is_positive)
    value = merit(counts, wish)
    best = candidates[np.isclose(value, value.max(), rtol=0, atol=1e-12)]
    return float(min(best, key=lambda threshold: (abs(threshold - 0.5), threshold)))


def thresholds(probabilities: np.ndarray) -> np.ndarray:
    """Return one threshold for each way to split the images: 0, one between any two probabilities, and one above all.

    The last is 1, or the next number where a probability rounds to 1.
    """
    distinct = np.unique(probabilities)
    between = (distinct[:-1] + distinct[1:]) / 2
    above_all = max(1.0, np.nextafter(distinct[-1], math.inf))
    between = np.maximum(between, distinct[:-1] + np.spacing(distinct[:-1]))
    return np.unique(np.concatenate([[0.0], between, [above_all]]))


def counts_at(candidates: np.ndarray, probabilities: np.ndarray, is_positive: np.ndarray) -> dict[str, np.ndarray]:
    """Return true and false positives and negatives at each threshold."""
    of_positive, of_negative = np.sort(probabilities[is_positive]), np.sort(probabilities[~is_positive])
    missed = np.searchsorted(of_positive, candidates)
    right = np.searchsorted(of_negative, candidates)
    return {
        "true_positive": len(of_positive) - missed,
        "false_negative": missed,
        "true_negative": right,
        "false_positive": len(of_negative) - right,
    }


def merit(counts: dict[str, np.ndarray], wish: Threshold) -> np.ndarray:
    """Return the value of each threshold for the aim; more is better."""
    measures = threshold_measures(counts, wish)
    if wish.aim == "cost":
        return -measures["cost"]
    if wish.aim == "recall":
        return np.where(measures["recall"] >= wish.minimum_recall, measures["precision"], -1.0)
    return measures[wish.aim]


def threshold_measures(counts: dict[str, np.ndarray], wish: Threshold) -> dict[str, np.ndarray]:
    """Return accuracy, precision, recall and F1, 0 where they are not defined, and the cost an image."""
    hits, false_alarms, misses = counts["true_positive"], counts["false_positive"], counts["false_negative"]
    images = hits + false_alarms + misses + counts["true_negative"]
    cost = wish.false_positive_cost * false_alarms + wish.false_negative_cost * misses
    return {
        "accuracy": (hits + counts["true_negative"]) / images,
        "precision": hits / np.maximum(hits + false_alarms, 1),
        "recall": hits / np.maximum(hits + misses, 1),
        "f1": 2 * hits / np.maximum(2 * hits + false_alarms + misses, 1),
        "cost": cost / images,
    }


def measures_at(
    threshold: float, predictions: Predictions, positive: int, wish: Threshold, confidence: float
) -> dict[str, Measure]:
    """Return a split's measures at a threshold, the accuracy with its interval."""
    return measures_of(predictions.probabilities[:, positive] >= threshold, predictions, positive, wish, confidence)


def cross_fitted_measures(
    predictions: Predictions, positive: int, wish: Threshold, folds: int, confidence: float, seed: int
) -> dict[str, Measure]:
    """Return the measures of images each of which was judged by a threshold chosen on the other folds.

    Measures on the images by which a threshold was chosen are too good. None where a class has too few images, or
    clusters, for two folds.
    """
    parts = folds_of(predictions.labels == positive, predictions.clusters, folds, seed)
    if parts is None:
        return {}
    as_positive = np.empty(len(predictions.labels), bool)
    for others, fold in parts:
        threshold = choose_threshold(part_of(predictions, others), positive, wish)
        if threshold is None:
            return {}
        as_positive[fold] = predictions.probabilities[fold, positive] >= threshold
    return measures_of(as_positive, predictions, positive, wish, confidence)


def part_of(predictions: Predictions, images: np.ndarray) -> Predictions:
    """Return the predictions of these images."""
    return Predictions(predictions.labels[images], predictions.log_probabilities[images])


def measures_of(
    as_positive: np.ndarray, predictions: Predictions, positive: int, wish: Threshold, confidence: float
) -> dict[str, Measure]:
    """Return the measures of images of which these, bool (N,), are classified as positive.

    Those that are not defined are left out: the precision where none is, the recall where none should be, F1 where
    both.
    """
    is_positive = predictions.labels == positive
    not_defined = {"precision": not as_positive.any(), "recall": not is_positive.any()}
    not_defined["f1"] = all(not_defined.values())
    counts = {
        "true_positive": as_positive & is_positive,
        "false_negative": ~as_positive & is_positive,
        "true_negative": ~as_positive & ~is_positive,
        "false_positive": as_positive & ~is_positive,
    }
    values = threshold_measures({name: mask.sum() for name, mask in counts.items()}, wish)
    measures = {
        f"at_threshold_{name}": Measure(float(value), len(is_positive))
        for name, value in values.items()
        if not not_defined.get(name)
    }
    accuracy = share_of_images(as_positive == is_positive, predictions.clusters, confidence)
    return measures | {"at_threshold_accuracy": accuracy}
