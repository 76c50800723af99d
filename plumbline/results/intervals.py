"""Confidence intervals: Clopper and Pearson's for a share of images, Newcombe's for the difference of two shares of the
same images, and the samples of the bootstrap for other measures. docs/statistics.md says how far each holds.

Images that belong together (copies, one patient's) say less than independent ones. `clusters` has a number for each
image, the same for those of one cluster; None if each image is its own.
"""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import beta, t
from statsmodels.stats.proportion import proportion_confint

from plumbline.results.measures_file import Measure

Sampling = Literal["classes", "images"]

FEW = 10  # images right or wrong: fewer show no correlation within clusters


def share_of_images(right: np.ndarray, clusters: np.ndarray | None, confidence: float) -> Measure:
    """Return the share of images for which `right`, bool (N,), is true, with its interval; of clusters a wider one."""
    independent = independent_images(right.astype(float), clusters, confidence)
    return share_with_interval(int(right.sum()), len(right), confidence, independent)


def clusters_within(numbers: np.ndarray) -> np.ndarray | None:
    """Return the clusters (N,) of a split's images, or None if no two of them are in one."""
    return None if len(np.unique(numbers)) == len(numbers) else numbers


def independent_images(values: np.ndarray, clusters: np.ndarray | None, confidence: float) -> float:
    """Return as how many independent images these, of which a mean of values (N,) is taken, are to count.

    It is the number of images over the design effect: the variance between the clusters' sums over that of as many
    independent images, with Student's t in place of the normal distribution for few clusters or clusters of very
    different sizes. Where fewer than ten images have another value than most, as where nearly all are right, the images
    of a cluster count as one. Source: Korn and Graubard 1998, "Confidence intervals for proportions with small expected
    number of positive counts estimated from survey data", Survey Methodology 24:193, but for the last rule.
    """
    images = len(values)
    if clusters is None:
        return images
    numbers = np.unique(clusters, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    if len(sizes) < 2:
        return 1.0
    as_one = images**2 / (sizes**2).sum()
    errors = values - values.mean()
    alone = (errors**2).sum() / images / (images - 1)
    if alone == 0:
        return as_one
    sums = np.bincount(numbers, errors)
    design_effect = max(len(sizes) / (len(sizes) - 1) * (sums**2).sum() / images**2 / alone, 1.0)
    effective_size = images / design_effect
    if images - np.unique(values, return_counts=True)[1].max() < FEW:
        effective_size = min(effective_size, as_one)
    tail = (1 - confidence) / 2
    t_ratio = float(t.isf(tail, images - 1) / t.isf(tail, degrees_of_freedom(sizes, effective_size)))
    return max(effective_size * t_ratio**2, 1.0)


def degrees_of_freedom(sizes: np.ndarray, independent: float) -> float:
    """Return those of the variance between clusters of these sizes, whose images count as so many independent ones.

    For clusters of one size their number less one, and fewer where some are much larger than others: then the variance
    rests on these few. A cluster's sum varies with its size and with the correlation that makes images count as fewer.
    Sources: Satterthwaite 1946, "An approximate distribution of estimates of variance components", Biometrics Bulletin
    2:110; Carter, Schnepel and Steigerwald 2017, Review of Economics and Statistics 99:698, on clusters.
    """
    images, number = sizes.sum(), len(sizes)
    largest = (sizes**2).sum() / images  # the design effect where all images of a cluster are alike
    correlation = min((images / independent - 1) / (largest - 1), 1.0) if largest > 1 else 0.0
    variances = sizes * (1 + (sizes - 1) * correlation)
    return float(variances.sum() ** 2 / (variances**2).sum() * (number - 1) / number)


def share_with_interval(hits: int, images: int, confidence: float, independent: float | None = None) -> Measure:
    """Return a share of images, which count as so many `independent` ones, with Clopper and Pearson's interval.

    It holds the true share at least as often as `confidence` says, whatever that share is. Wilson's interval is
    narrower, and at shares near 1 holds the true one as rarely as 0.84 times where it should 0.95 times.
    Source: Clopper and Pearson 1934, "The use of confidence or fiducial limits illustrated in the case of the
    binomial", Biometrika 26:404.
    """
    of = images if independent is None else independent
    right, tail = hits / images * of, (1 - confidence) / 2
    wrong = (images - hits) / images * of
    low = float(beta.ppf(tail, right, wrong + 1)) if hits else 0.0
    high = float(beta.isf(tail, right + 1, wrong)) if hits < images else 1.0
    return Measure(hits / images, images, low, high)


def difference_of_shares(
    before: np.ndarray, after: np.ndarray, confidence: float, clusters: np.ndarray | None = None
) -> Measure:
    """Return the change in accuracy on the same images with its interval; right or not, bool (N,), before and after.

    Combines Wilson's intervals of both accuracies with their correlation: unlike a bootstrap interval it has a width
    also where no image changed. Source: Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17:2635, method 10.
    """
    images = len(before)
    part = independent_images(after.astype(float) - before, clusters, confidence) / images
    both, neither = part * (before & after).sum(), part * (~before & ~after).sum()
    gained, lost = part * (~before & after).sum(), part * (before & ~after).sum()
    new, old = wilson(both + gained, part * images, confidence), wilson(both + lost, part * images, confidence)
    phi = correlation(both, gained, lost, neither)
    below, above = new.value - new.low, old.high - old.value
    low = math.sqrt(below**2 - 2 * phi * below * above + above**2)
    below, above = old.value - old.low, new.high - new.value
    high = math.sqrt(above**2 - 2 * phi * above * below + below**2)
    change = float(after.mean() - before.mean())
    return Measure(change, images, change - low, change + high)


def wilson(hits: float, images: float, confidence: float) -> Measure:
    """Return a share of images with Wilson's score interval, of which Newcombe's is made.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    low, high = proportion_confint(hits, images, 1 - confidence, method="wilson")
    return Measure(hits / images, images, float(low), float(high))


def correlation(both: float, gained: float, lost: float, neither: float) -> float:
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
    labels: np.ndarray,
    resamples: int,
    chance: np.random.Generator,
    sampling: Sampling = "classes",
    clusters: np.ndarray | None = None,
) -> Iterator[np.ndarray]:
    """Yield bootstrap samples as the number of times that each image is drawn, float64 (N,).

    Images are drawn with replacement as they came: with sampling `classes` within each class, as many as it has; with
    `images` from all, so that a small class may have none. Of clusters, whole ones are drawn, each among those of its
    first image's class; among all where a class has one alone. Labels, of any type, are grouped by class. Sources:
    Efron and Tibshirani 1993, "An introduction to the bootstrap", with the classes as strata; Davison and Hinkley 1997,
    "Bootstrap methods and their application", section 3.8, for clusters.
    """
    if clusters is None:
        cluster_of, first_images = np.arange(len(labels)), np.arange(len(labels))
    else:
        cluster_of = pd.factorize(clusters)[0]  # numbered as they come up, so grouped by class as the labels are
        first_images = np.unique(cluster_of, return_index=True)[1]
    cluster_labels, starts = labels[first_images], np.array([0])
    if sampling == "classes":
        starts = np.append(starts, np.flatnonzero(cluster_labels[1:] != cluster_labels[:-1]) + 1)
    sizes = np.diff(starts, append=len(cluster_labels))
    if clusters is not None and sizes.min() < 2:
        starts, sizes = np.array([0]), np.array([len(cluster_labels)])
    first, count = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    for _ in range(resamples):
        drawn = first + (chance.random(len(cluster_labels)) * count).astype(np.int64)
        yield np.bincount(drawn, minlength=len(cluster_labels)).astype(float)[cluster_of]
