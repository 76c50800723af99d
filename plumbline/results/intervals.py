"""Confidence intervals: Clopper and Pearson's for a share of images, Newcombe's for the difference of two shares of the
same images, and the samples of the stratified bootstrap for other measures. docs/statistics.md says how far each holds.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
from scipy.stats import binomtest

from plumbline.results.measures_file import Measure

Sampling = Literal["classes", "images"]


def share_with_interval(hits: int, images: int, confidence: float) -> Measure:
    """Return a share of images with Clopper and Pearson's exact interval.

    It holds the true share at least as often as `confidence` says, whatever that share is. Wilson's interval is
    narrower, and at shares near 1 holds the true one as rarely as 0.84 times where it should 0.95 times.
    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26:404.
    """
    interval = binomtest(hits, images).proportion_ci(confidence, method="exact")
    return Measure(hits / images, images, float(interval.low), float(interval.high))


def difference_of_shares(before: np.ndarray, after: np.ndarray, confidence: float) -> Measure:
    """Return the change in accuracy on the same images with its interval; right or not, bool (N,), before and after.

    Combines Wilson's intervals of both accuracies with their correlation: unlike a bootstrap interval it has a width
    also where no image changed. Source: Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17:2635, method 10.
    """
    images = len(before)
    both, neither = int((before & after).sum()), int((~before & ~after).sum())
    gained, lost = int((~before & after).sum()), int((before & ~after).sum())
    new, old = wilson(both + gained, images, confidence), wilson(both + lost, images, confidence)
    phi = correlation(both, gained, lost, neither)
    below, above = new.value - new.low, old.high - old.value
    low = math.sqrt(below**2 - 2 * phi * below * above + above**2)
    below, above = old.value - old.low, new.high - new.value
    high = math.sqrt(above**2 - 2 * phi * above * below + below**2)
    change = new.value - old.value
    return Measure(change, images, change - low, change + high)


def wilson(hits: int, images: int, confidence: float) -> Measure:
    """Return a share of images with Wilson's score interval, of which Newcombe's is made.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    interval = binomtest(hits, images).proportion_ci(confidence, method="wilson")
    return Measure(hits / images, images, float(interval.low), float(interval.high))


def correlation(both: int, gained: int, lost: int, neither: int) -> float:
    """Return the correlation of being right before and after, with Newcombe's correction for continuity."""
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    product = both * neither - gained * lost
    images = both + gained + lost + neither
    if product > 0:
        product = max(product - images / 2, 0)
    return product / math.sqrt(margins)


def resampled_weights(
    labels: np.ndarray, resamples: int, chance: np.random.Generator, sampling: Sampling = "classes"
) -> Iterator[np.ndarray]:
    """Yield bootstrap samples as the number of times that each image is drawn, float64 (N,).

    Images are drawn with replacement as they came: with sampling `classes` within each class, as many as it has; with
    `images` from all, so that a small class may have none. Labels, of any type, are grouped by class. Source: Efron and
    Tibshirani 1993, "An introduction to the bootstrap", with the classes as strata.
    """
    images = len(labels)
    starts = np.array([0])
    if sampling == "classes":
        starts = np.append(starts, np.flatnonzero(labels[1:] != labels[:-1]) + 1)
    sizes = np.diff(starts, append=images)
    first, count = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    for _ in range(resamples):
        drawn = first + (chance.random(images) * count).astype(np.int64)
        yield np.bincount(drawn, minlength=images).astype(float)
