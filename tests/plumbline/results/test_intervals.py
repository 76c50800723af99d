"""The intervals are the literature's and hold what they promise; bootstrap samples keep each class's size and draw its images alike."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binom

from plumbline.results.intervals import difference_of_shares, resampled_weights, share_with_interval, wilson
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
