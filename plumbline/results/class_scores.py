"""Measures that weigh the classes alike, whatever their sizes, for any weighting of the images."""

from collections.abc import Callable

import numpy as np

Measures = Callable[[np.ndarray], dict[str, float]]  # of weights (N,): how often each image counts


def class_measures(actual: np.ndarray, predicted: np.ndarray, classes: int) -> Measures:
    """Return balanced accuracy (the mean recall) and macro F1, as functions of the weights.

    Classes are ints (N,). One without an image takes part in no mean.
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
