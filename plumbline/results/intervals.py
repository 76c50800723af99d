"""Confidence intervals: Wilson's for a share of images; the samples of the stratified bootstrap for other measures."""

from collections.abc import Iterator

import numpy as np
from scipy.stats import binomtest

from plumbline.results.measures_file import Measure


def share_with_interval(hits: int, images: int, confidence: float) -> Measure:
    """Return a share of images with Wilson's score interval.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    interval = binomtest(hits, images).proportion_ci(confidence, method="wilson")
    return Measure(hits / images, images, float(interval.low), float(interval.high))


def resampled_weights(labels: np.ndarray, resamples: int, chance: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield bootstrap samples as the number of times that each image is drawn, float64 (N,).

    Images are drawn with replacement within each class, as many as the class has. Labels, of any type, are grouped by
    class. Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", with the classes as strata.
    """
    images = len(labels)
    starts = np.append(0, np.flatnonzero(labels[1:] != labels[:-1]) + 1)
    sizes = np.diff(starts, append=images)
    first, count = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    for _ in range(resamples):
        drawn = first + (chance.random(images) * count).astype(np.int64)
        yield np.bincount(drawn, minlength=images).astype(float)
