"""The intervals are the literature's and hold what they promise; bootstrap samples keep each class's size and draw its images alike."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom, t
from statsmodels.regression.linear_model import OLS

from plumbline.results.intervals import (
    Sampling,
    degrees_of_freedom,
    difference_of_shares,
    independent_images,
    resampled_weights,
    share_of_images,
    share_with_interval,
    wilson,
)
from plumbline.results.measures_file import Measure


@pytest.mark.parametrize(
    ("hits", "images", "exact", "score"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, methods 5 (Clopper and Pearson) and 3 (Wilson).
        (81, 263, (0.2527, 0.3676), (0.2553, 0.3662)),
        (15, 148, (0.0578, 0.1617), (0.0624, 0.1605)),
        (0, 20, (0.0000, 0.1684), (0.0000, 0.1611)),
        (1, 29, (0.0009, 0.1776), (0.0061, 0.1718)),
    ],
)
def test_the_interval_of_a_share_is_clopper_and_pearsons(
    hits: int, images: int, exact: tuple[float, float], score: tuple[float, float]
) -> None:
    for found, wanted in ((share_with_interval(hits, images, 0.95), exact), (wilson(hits, images, 0.95), score)):
        assert (found.value, found.images) == (hits / images, images)
        assert (found.low, found.high) == pytest.approx(wanted, abs=5e-5)


@pytest.mark.parametrize("images", [24, 153, 273])
def test_the_interval_of_a_share_holds_the_true_one_19_times_in_20_whatever_it_is(images: int) -> None:
    """The exact sum over all results, at shares up to 1 - 1 / (10 n), and where the sum is least: beyond each end."""
    hits = np.arange(images + 1)

    def least(interval: Callable[[int, int, float], Measure]) -> float:
        found = [interval(int(k), images, 0.95) for k in hits]
        low, high = (np.array([getattr(own, end) for own in found]) for end in ("low", "high"))
        beyond = np.concatenate([low - 1e-9, high + 1e-9, np.linspace(0.5, 1, 500)])
        shares = beyond[(beyond > 0.5) & (beyond <= 1 - 1 / (10 * images))]
        return min(binom.pmf(hits, images, p)[(low <= p) & (p <= high)].sum() for p in shares)

    assert least(share_with_interval) >= 0.95
    assert least(wilson) < 0.84


def paired(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right before and after for images of these counts."""
    before = np.array([True] * both + [False] * gained + [True] * lost + [False] * neither)
    after = np.array([True] * both + [True] * gained + [False] * lost + [False] * neither)
    return before, after


# Airway reactivity before and after stem cell transplantation (Bentur et al. 2009), as in Fagerland, Lydersen and Laake
# 2014, "Recommended tests and confidence intervals for paired binomial proportions"; Newcombe 1998's own first table.
@pytest.mark.parametrize(
    ("counts", "change", "low", "high"),
    [((1, 1, 7, 12), -6 / 21, -0.507, -0.026), ((36, 12, 2, 0), 0.2, 0.0569, 0.3404)],
)
def test_a_difference_of_shares_has_newcombes_interval(
    counts: tuple[int, int, int, int], change: float, low: float, high: float
) -> None:
    found = difference_of_shares(*paired(*counts), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((change, low, high), abs=6e-4)
    assert found.images == sum(counts)


def test_the_other_way_round_the_interval_is_turned_round() -> None:
    before, after = paired(20, 3, 5, 12)
    one, other = difference_of_shares(before, after, 0.9), difference_of_shares(after, before, 0.9)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_where_no_image_changed_the_interval_is_no_point() -> None:
    change = difference_of_shares(*paired(23, 0, 0, 1), 0.95)
    assert change.value == 0
    assert change.low == pytest.approx(-change.high)
    assert 0.05 < change.high < 0.2
    assert difference_of_shares(*paired(24, 0, 0, 0), 0.95).low < 0


def test_drawn_from_all_images_the_class_counts_vary_as_those_of_random_images() -> None:
    labels = np.array([0] * 30 + [1] * 10)
    weights = np.array(list(resampled_weights(labels, 4000, np.random.default_rng(0), "images")))
    assert (weights.sum(axis=1) == 40).all()
    counts = weights[:, labels == 1].sum(axis=1)
    assert counts.mean() == pytest.approx(10, abs=0.2)
    assert counts.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.1)  # binomial


@pytest.mark.parametrize("labels", [np.array([0] * 5 + [1] * 3 + [4]), np.array(["b"] * 2 + ["a"] * 7)])
def test_each_class_keeps_its_size_and_its_images_come_up_alike(labels: np.ndarray) -> None:
    weights = np.array(list(resampled_weights(labels, 4000, np.random.default_rng(0))))
    for label in np.unique(labels):
        assert (weights[:, labels == label].sum(axis=1) == (labels == label).sum()).all()
    # Each image is drawn once a sample on average; the variance of a draw is below 1.
    assert weights.mean(axis=0) == pytest.approx(np.ones(len(labels)), abs=5 / np.sqrt(4000))


def in_clusters(groups: int, size: int, correlation: float, mean: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return images right or not, and their clusters, within which they are correlated."""
    chance, total = np.random.default_rng(seed), 1 / correlation - 1
    share = chance.beta(mean * total, (1 - mean) * total, size=(groups, 1))
    return (chance.random((groups, size)) < share).ravel(), np.repeat(np.arange(groups), size)


def test_images_of_a_cluster_count_as_many_as_the_variance_between_clusters_says() -> None:
    """Against statsmodels' variance of a mean that is robust to clusters."""
    right, clusters = in_clusters(40, 5, 0.3, 0.7, seed=3)
    values = right.astype(float)
    robust = OLS(values, np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": clusters}).bse[0] ** 2
    few_clusters = (t.isf(0.025, 199) / t.isf(0.025, 39)) ** 2
    found = independent_images(values, clusters, 0.95)
    assert found == pytest.approx(values.var(ddof=1) / robust * few_clusters, rel=1e-9)
    assert 40 < found < 150


def test_of_nearly_all_right_the_images_of_a_cluster_count_as_one() -> None:
    clusters = np.repeat(np.arange(30), 10)
    assert independent_images(np.ones(300), clusters, 0.95) == 30
    one_wrong = np.arange(300) != 7
    assert share_of_images(one_wrong, clusters, 0.95).low < 0.9
    assert share_of_images(one_wrong, None, 0.95).low > 0.98
    assert share_of_images(one_wrong, np.arange(300), 0.95).low == pytest.approx(
        share_of_images(one_wrong, None, 0.95).low
    )
    assert independent_images(np.ones(300), np.zeros(300), 0.95) == 1


@pytest.mark.parametrize("mean", [0.6, 0.9, 0.98])
def test_with_clusters_the_interval_holds_where_that_of_independent_images_does_not(mean: float) -> None:
    """300 simulations: a coverage of 0.95 has a standard error of 0.013. benchmarks/caveats.py has more."""
    held = np.zeros(2)
    for seed in range(300):
        right, clusters = in_clusters(30, 10, 1 / 3, mean, seed)
        found = [share_of_images(right, own, 0.95) for own in (clusters, None)]
        held += [own.low <= mean <= own.high for own in found]
    assert held[0] / 300 > 0.91
    assert held[1] / 300 < 0.8


def test_the_difference_of_two_accuracies_is_less_certain_with_clusters() -> None:
    before, clusters = in_clusters(30, 10, 1 / 3, 0.8, seed=0)
    after = in_clusters(30, 10, 1 / 3, 0.8, seed=1)[0]
    apart, together = (difference_of_shares(before, after, 0.95, own) for own in (None, clusters))
    assert together.value == apart.value
    assert together.high - together.low > 1.3 * (apart.high - apart.low)
    as_apart = difference_of_shares(before, after, 0.95, np.arange(300))
    assert as_apart.high - as_apart.low <= 1.01 * (apart.high - apart.low)


@pytest.mark.parametrize("sampling", ["classes", "images"])
def test_whole_clusters_are_drawn_and_the_mean_varies_as_between_clusters(sampling: Sampling) -> None:
    right, clusters = in_clusters(40, 5, 0.3, 0.7, seed=3)
    mixed = np.random.default_rng(0).permutation(200)  # the images of a cluster need not stand together
    right, clusters = right[mixed], clusters[mixed]
    weights = np.array(list(resampled_weights(np.zeros(200, int), 4000, np.random.default_rng(0), sampling, clusters)))
    for number in range(5):
        assert (np.ptp(weights[:, clusters == number], axis=1) == 0).all()
    means = weights @ right / weights.sum(axis=1)
    robust = OLS(right.astype(float), np.ones(200)).fit(cov_type="cluster", cov_kwds={"groups": clusters}).bse[0]
    assert means.std() == pytest.approx(robust, rel=0.05)


def test_clusters_of_one_image_change_nothing() -> None:
    labels = np.repeat([0, 1], [12, 5])
    plain, alone = (list(resampled_weights(labels, 5, np.random.default_rng(0), "classes", own))
                    for own in (None, np.arange(17)[::-1]))  # fmt: skip
    assert np.array_equal(plain, alone)


def test_degrees_of_freedom_are_worked_by_hand_and_fewer_where_one_cluster_is_large() -> None:
    # Of one size: their number less one. Sizes 1, 1 and 4, all images of a cluster alike (6 images count as 36 / 18):
    # variances 1, 1 and 16, so 18^2 / 258 * 2 / 3. Independent images: variances 1, 1 and 4, so 36 / 18 * 2 / 3.
    assert degrees_of_freedom(np.full(40, 5), 70) == pytest.approx(39)
    assert degrees_of_freedom(np.ones(40, int), 40) == pytest.approx(39)
    assert degrees_of_freedom(np.array([1, 1, 4]), 2) == pytest.approx(18**2 / 258 * 2 / 3)
    assert degrees_of_freedom(np.array([1, 1, 4]), 6) == pytest.approx(36 / 18 * 2 / 3)


def test_with_clusters_of_very_different_sizes_the_interval_holds() -> None:
    """500 simulations: a coverage of 0.95 has a standard error of 0.010. With 20 degrees of freedom it was 0.886."""
    sizes, mean, held = np.array([1, 2, 4, 8, 16, 32, 64] * 3), 0.9, 0
    chance, clusters = np.random.default_rng(0), np.repeat(np.arange(21), sizes)
    for _ in range(500):
        right = chance.random(len(clusters)) < chance.beta(2 * mean, 2 * (1 - mean), size=21)[clusters]
        own = share_of_images(right, clusters, 0.95)
        held += own.low <= mean <= own.high
    assert held / 500 > 0.92
