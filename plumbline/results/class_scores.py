"""Measures that give every class the same weight, whatever its size: balanced accuracy and macro F1."""

from collections.abc import Callable

import numpy as np

# Of weights (N,), the number of times that each image counts: what the bootstrap calls for each of its samples.
WeightedMeasures = Callable[[np.ndarray], dict[str, float]]


def class_measures(actual: np.ndarray, predicted: np.ndarray, classes: int) -> WeightedMeasures:
    """Return balanced accuracy (the mean recall) and macro F1, as functions of the weights.

    Classes are ints (N,). A class without an image is left out of both means.
    """

    def measures(weights: np.ndarray) -> dict[str, float]:
        hits = np.bincount(actual, weights * (actual == predicted), classes)
        images = np.bincount(actual, weights, classes)
        named = np.bincount(predicted, weights, classes)
        there = images > 0
        return {
            "balanced_accuracy": float((hits[there] / images[there]).mean()),
            "macro_f1": float((2 * hits[there] / (images[there] + named[there])).mean()),
        }

    return measures
