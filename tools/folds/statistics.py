"""Intervals and a test over folds, whose models share most of their training images."""

import math

import numpy as np
from scipy.stats import t

from plumbline.results.intervals import difference_of_shares, share_of_images
from plumbline.results.measures_file import Measure
from tools.compare.statistics import mcnemar, mcnemar_of_clusters


def error_of_mean(values: np.ndarray, ratio: float) -> float:
    """Return the standard error of the mean of one value a fold (k,), given test images for each image of training.

    (1/k + ratio) times the variance between the folds, under the root. Student's has 1/k alone, as if each fold had
    been trained on images of its own. Source: Nadeau and Bengio 2003, "Inference for the generalization error",
    Machine Learning 52:239, section 4, the corrected resampled t-test.
    """
    return math.sqrt((1 / len(values) + ratio) * values.var(ddof=1))


def half_width(values: np.ndarray, ratio: float, confidence: float) -> float:
    """Return how far the interval reaches to each side of the mean over folds, with k - 1 degrees of freedom."""
    return float(t.isf((1 - confidence) / 2, len(values) - 1)) * error_of_mean(values, ratio)


def p_over_folds(differences: np.ndarray, ratio: float) -> float:
    """Return the two-sided p-value of one difference a fold (k,) of two recipes, if on average there is none."""
    mean, error = differences.mean(), error_of_mean(differences, ratio)
    if error == 0:
        return float(mean == 0)
    return float(2 * t.sf(abs(mean) / error, len(differences) - 1))


def accuracy_over_folds(
    right: np.ndarray, folds: np.ndarray, ratio: float, confidence: float, clusters: np.ndarray | None = None
) -> Measure:
    """Return the accuracy on all images with its interval; right or not, bool (N,), and each image's fold (N,).

    The interval is never narrower than that of as many images, which one model had not been trained on: a few folds
    may be alike by chance, as where all of their images are right.
    """
    of_images = share_of_images(right, clusters, confidence)
    half = half_width(means(right, folds), ratio, confidence)
    low, high = max(of_images.value - half, 0.0), min(of_images.value + half, 1.0)
    return Measure(of_images.value, len(right), min(low, of_images.low), max(high, of_images.high))


def accuracy_difference_over_folds(
    a: np.ndarray,
    b: np.ndarray,
    folds: np.ndarray,
    ratio: float,
    confidence: float,
    clusters: np.ndarray | None = None,
) -> tuple[Measure, float]:
    """Return the difference in accuracy, b - a, of two recipes on the same folds with its interval, and the p-value.

    Right or not, bool (N,). Interval and test are never more certain than those of two models on these images.
    """
    of_images = difference_of_shares(a, b, confidence, clusters)
    changes = b.astype(float) - a
    differences = means(changes, folds)
    half = half_width(differences, ratio, confidence)
    if clusters is None:
        p_of_images = mcnemar(int((changes < 0).sum()), int((changes > 0).sum()))
    else:
        p_of_images = mcnemar_of_clusters(changes, clusters)
    low, high = max(of_images.value - half, -1.0), min(of_images.value + half, 1.0)
    measure = Measure(of_images.value, len(a), min(low, of_images.low), max(high, of_images.high))
    return measure, max(p_over_folds(differences, ratio), p_of_images)


def means(values: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Return the mean of values (N,) in each fold, (k,); `folds` (N,) has each one's number."""
    return np.bincount(folds, values) / np.bincount(folds)
