"""Test differences: exact McNemar, a test over seeds, the paired bootstrap, Holm's correction, and the sample size."""

import math

import numpy as np
from scipy.stats import binom, binomtest, norm, t
from statsmodels.stats.multitest import multipletests

from plumbline.results.class_scores import WeightedMeasures
from plumbline.results.intervals import Sampling, resampled_weights
from plumbline.results.measures_file import Measure

POWER, LEVEL = 0.8, 0.05


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the exact two-sided p-value for images that one of two models alone got right.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions".
    """
    changed = only_a + only_b
    return float(binomtest(only_a, changed, 0.5).pvalue) if changed else 1.0


def mcnemar_of_clusters(changes: np.ndarray, clusters: np.ndarray) -> float:
    """Return the exact two-sided p-value for images that belong together: -1, 0 or 1 (N,), right in A or B alone.

    If neither model is better, a cluster's sum is as likely with the other sign: the p-value is the share of all ways
    to choose the signs whose total is as far from 0. With one image a cluster that is McNemar's test. Source: Fisher
    1935, "The design of experiments", section 21, with clusters as the units.
    """
    sums = np.abs(np.bincount(np.unique(clusters, return_inverse=True)[1], changes)).astype(int)
    chances = np.ones(1)  # of the totals from -total to total
    for size, number in zip(*np.unique(sums[sums > 0], return_counts=True), strict=True):
        of_size = np.zeros(2 * size * number + 1)
        of_size[:: 2 * size] = binom.pmf(np.arange(number + 1), number, 0.5)
        chances = np.convolve(chances, of_size)
    totals = np.arange(len(chances)) - len(chances) // 2
    return float(min(chances[np.abs(totals) >= abs(changes.sum())].sum(), 1.0))


def difference_over_seeds(
    a: np.ndarray, b: np.ndarray, confidence: float, clusters: np.ndarray | None = None
) -> tuple[Measure, float]:
    """Return the difference in accuracy of two recipes with its interval, and the two-sided p-value.

    Right or not, 1.0 or 0.0, of (runs, images), at least two runs of each recipe, on the same images. The variance is
    that between the runs plus that between the images, or between the clusters (N,) of images that belong together,
    from which the runs' share is taken; degrees of freedom after Welch and Satterthwaite. To the images two are added,
    one that is right in `a` alone and one in `b` alone: so a few images on which no two runs differ do not show that
    there is no difference. Sources: Welch 1947, "The generalization of 'Student's' problem", Biometrika 34:28;
    Bouthillier et al. 2021, "Accounting for variance in machine learning benchmarks", arXiv:2103.03098, on why both
    variances count; Bonett and Price 2012, "Adjusted Wald confidence interval for a difference of binomial proportions
    based on paired data", Journal of Educational and Behavioral Statistics 37:479, for the two.
    """
    sizes = sums_of_clusters(np.ones((1, a.shape[1])), clusters)[0]
    usual = sizes.mean()  # the size of each of the two that are added
    sizes = np.append(sizes, [usual, usual])
    sums_a, sums_b = (
        np.hstack([sums_of_clusters(right, clusters), np.tile(added, (len(right), 1))])
        for right, added in ((a, [usual, 0]), (b, [0, usual]))
    )
    terms = [((own.sum(axis=1) / sizes.sum()).var(ddof=1) / len(own), len(own) - 1) for own in (sums_a, sums_b)]
    differences = sums_b.mean(axis=0) - sums_a.mean(axis=0)
    middle = float(differences.sum() / sizes.sum())
    errors = differences - middle * sizes
    of_runs = sum((own.var(axis=0, ddof=1) / len(own)).sum() for own in (sums_a, sums_b))  # within each cluster
    between = len(sizes) / (len(sizes) - 1) * (errors**2).sum() - of_runs
    terms.append((max(between, 0.0) / sizes.sum() ** 2, len(sizes) - 1))
    variance = sum(term for term, _ in terms)
    freedom = variance**2 / sum(term**2 / degrees for term, degrees in terms)
    half = float(t.isf((1 - confidence) / 2, freedom)) * math.sqrt(variance)
    measure = Measure(float(b.mean() - a.mean()), a.shape[1], max(middle - half, -1.0), min(middle + half, 1.0))
    return measure, float(2 * t.sf(abs(middle) / math.sqrt(variance), freedom))


def sums_of_clusters(values: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return the sums over each cluster, (runs, clusters), of values (runs, images)."""
    if clusters is None:
        return values
    numbers = np.unique(clusters, return_inverse=True)[1]
    return np.stack([np.bincount(numbers, row) for row in values])


def holm(p_values: list[float]) -> list[float]:
    """Return p-values that are corrected for their number.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure".
    """
    return multipletests(p_values, method="holm")[1].tolist() if p_values else []


def images_needed(only_a: int, only_b: int, images: int) -> int | None:
    """Return how many images it takes to show this difference in accuracy at the 5 % level with 80 % power.

    If the true shares are those found here. None where there is no difference. Connor's number is for the asymptotic
    test; the exact one needs a few more, which are counted up. Source: Connor 1987, "Sample size for testing
    differences in proportions for the paired-sample design", Biometrics 43:207.
    """
    difference, changed = abs(only_a - only_b) / images, (only_a + only_b) / images
    if difference == 0:
        return None
    level, power = norm.isf(LEVEL / 2), norm.isf(1 - POWER)
    root = level * math.sqrt(changed) + power * math.sqrt(changed - difference**2)
    needed = math.ceil((root / difference) ** 2)
    share = min(only_a, only_b) / (only_a + only_b)
    while exact_power(needed, changed, share) < POWER:
        needed += max(1, needed // 500)
    return needed


def exact_power(images: int, changed: float, share: float) -> float:
    """Return how often McNemar's exact test rejects at the 5 % level.

    `changed` of the images are right in one model alone, of these a `share` in the first; the sum over both counts, of
    the number that changed within eight standard deviations.
    """
    spread = 8 * math.sqrt(images * changed * (1 - changed)) + 1
    totals = np.arange(
        max(0, math.floor(images * changed - spread)), min(images, math.ceil(images * changed + spread)) + 1
    )
    smaller = binom.ppf(LEVEL / 2, totals, 0.5)  # the largest count that is rejected is this one, or one less
    smaller -= 2 * binom.cdf(smaller, totals, 0.5) > LEVEL
    rejected = binom.cdf(smaller, totals, share) + binom.sf(totals - smaller - 1, totals, share)
    return float(binom.pmf(totals, images, changed) @ np.where(smaller >= 0, rejected, 0))


def difference_with_interval(
    a: WeightedMeasures,
    b: WeightedMeasures,
    labels: np.ndarray,
    resamples: int,
    confidence: float,
    seed: int,
    sampling: Sampling = "classes",
    clusters: np.ndarray | None = None,
) -> dict[str, Measure]:
    """Return b - a of each measure with its percentile interval; both are computed on the same bootstrap samples.

    Images are drawn as they came, those that belong together as one; `labels` are sorted.
    """
    chance, whole = np.random.default_rng(seed), np.ones(len(labels))
    drawn = resampled_weights(labels, resamples, chance, sampling, clusters)
    samples = [(a(weights), b(weights)) for weights in drawn]
    before, after, tails = a(whole), b(whole), [(1 - confidence) / 2, (1 + confidence) / 2]
    differences = {}
    for name in before:
        low, high = np.quantile([theirs[name] - ours[name] for ours, theirs in samples], tails)
        differences[name] = Measure(after[name] - before[name], len(labels), float(low), float(high))
    return differences
