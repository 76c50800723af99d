"""How sure a measure is: Wilson's interval for a share of images, the stratified percentile bootstrap for the rest."""

import numpy as np
from scipy.stats import binomtest

from plumbline.results.bootstrap import resampled_weights
from plumbline.results.class_scores import Measures
from stages.evaluate.predictions import Predictions


def share_with_interval(name: str, hits: int, images: int, confidence: float) -> dict[str, float]:
    """Return a share of images with its interval.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    interval = binomtest(hits, images).proportion_ci(confidence, method="wilson")
    return {name: hits / images, f"{name}_low": float(interval.low), f"{name}_high": float(interval.high)}


def with_intervals(
    measures: Measures, predictions: Predictions, resamples: int, confidence: float, seed: int
) -> dict[str, float]:
    """Return each measure with the quantiles of it over samples of the split, drawn with replacement in each class.

    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", the percentile interval.
    """
    order = drawing_order(predictions)
    chance = np.random.default_rng(seed)
    whole = measures(np.ones(len(order)))
    samples, weights = [], np.empty(len(order))
    for drawn in resampled_weights(predictions.labels[order], resamples, chance):
        weights[order] = drawn
        samples.append(measures(weights))
    found = {}
    for name, value in whole.items():
        low, high = np.quantile([sample[name] for sample in samples], [(1 - confidence) / 2, (1 + confidence) / 2])
        found |= {name: value, f"{name}_low": float(low), f"{name}_high": float(high)}
    return found


def drawing_order(predictions: Predictions) -> np.ndarray:
    """Return the images class by class, in an order that hangs on neither theirs nor the classes': by size and loss."""
    labels, losses, errors = predictions.labels, predictions.losses, predictions.squared_errors
    totals = np.array([np.sort(losses[labels == c]).sum() for c in range(predictions.classes)])
    sizes = np.bincount(labels, minlength=predictions.classes)
    return np.lexsort((errors, losses, labels, totals[labels], sizes[labels]))
