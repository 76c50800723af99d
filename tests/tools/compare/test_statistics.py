"""McNemar, Holm, sample sizes and the paired bootstrap, against statsmodels, scipy, published numbers and simulation."""

import itertools

import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, ttest_1samp, ttest_ind
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from benchmarks.comparisons import coverage_over_seeds, rejections
from tools.compare.comparison import METRICS, measures_of
from tools.compare.statistics import (
    difference_over_seeds,
    difference_with_interval,
    exact_power,
    holm,
    images_needed,
    mcnemar,
    mcnemar_of_clusters,
)


@pytest.mark.parametrize(("only_a", "only_b"), [(0, 0), (1, 0), (5, 5), (3, 12), (40, 21), (0, 9)])
def test_the_exact_test_is_that_of_statsmodels(only_a: int, only_b: int) -> None:
    wanted = statsmodels_mcnemar([[50, only_a], [only_b, 7]], exact=True).pvalue if only_a + only_b else 1.0
    assert mcnemar(only_a, only_b) == pytest.approx(wanted)
    assert mcnemar(only_b, only_a) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(5))
def test_with_clusters_it_is_the_share_of_all_signs_with_a_total_as_far_from_zero(seed: int) -> None:
    chance = np.random.default_rng(seed)
    changes, clusters = chance.integers(-1, 2, 40), np.sort(chance.integers(0, 12, 40))
    sums = [changes[clusters == number].sum() for number in np.unique(clusters)]
    totals = [np.dot(signs, sums) for signs in itertools.product([-1, 1], repeat=len(sums))]
    wanted = np.mean(np.abs(totals) >= abs(changes.sum()))
    assert mcnemar_of_clusters(changes, clusters) == pytest.approx(wanted)
    only_a, only_b = int((changes < 0).sum()), int((changes > 0).sum())
    assert mcnemar_of_clusters(changes, np.arange(40)) == pytest.approx(mcnemar(only_a, only_b))


def test_over_seeds_clusters_count_as_images_of_their_sums() -> None:
    chance = np.random.default_rng(1)
    a, b = (np.repeat(chance.random((3, 50)) < share, 4, axis=1).astype(float) for share in (0.9, 0.6))
    whole = difference_over_seeds(a[:, ::4], b[:, ::4], 0.95)
    clustered = difference_over_seeds(a, b, 0.95, np.repeat(np.arange(50), 4))
    assert clustered[0][2:] == pytest.approx(whole[0][2:])
    assert clustered[1] == pytest.approx(whole[1])


def test_over_seeds_of_runs_that_are_all_alike_it_is_students_test_of_the_clusters_and_two_more() -> None:
    chance = np.random.default_rng(2)
    a, b = (np.tile(chance.random(60) < share, (2, 1)).astype(float) for share in (0.9, 0.7))
    found, p = difference_over_seeds(a, b, 0.95, np.repeat(np.arange(20), 3))
    wanted = ttest_1samp(np.append((b - a)[0].reshape(20, 3).mean(axis=1), [1.0, -1.0]), 0)  # Bonett and Price's two
    assert p == pytest.approx(wanted.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(wanted.confidence_interval(0.95)))


def test_over_seeds_without_a_share_of_the_images_it_is_welchs_test() -> None:
    # Every image is right as often as every other, in expectation: what differs between them is the runs' own luck.
    chance = np.random.default_rng(0)
    a, b = (chance.random((runs, 400)) < accuracy for runs, accuracy in ((4, 0.8), (6, 0.75)))
    a[0], a[1], b[0] = a[0] & a[1], a[0] | a[1], b[0] & b[1]  # which makes the runs differ and the images alike
    found, p = difference_over_seeds(a.astype(float), b.astype(float), 0.95)
    wanted = ttest_ind(b.mean(axis=1), a.mean(axis=1), equal_var=False)
    assert found.value == pytest.approx(b.mean() - a.mean())
    assert p == pytest.approx(wanted.pvalue, rel=0.1)
    low, high = wanted.confidence_interval()
    assert (found.low, found.high) == pytest.approx((low, high), rel=0.1)


def test_over_seeds_alike_recipes_are_told_apart_one_time_in_twenty_where_mcnemar_does_six_times() -> None:
    """Its size, where runs and images both vary: what benchmarks/comparisons.py shows with more simulations."""
    found = rejections(runs=3, images=273, gain=0.0, simulations=400)
    assert found[0] > 0.2
    assert found[2] < 0.08


def test_runs_that_are_all_alike_may_still_differ_on_images_that_were_not_there() -> None:
    right = np.ones((3, 20))
    found, p = difference_over_seeds(right, right, 0.95)
    assert (found.value, p) == (0.0, 1.0)
    # A recipe that is better on a share q of all images differs on none of 20 in 5 % of draws if (1 - q)**20 = 0.05.
    assert -found.low == found.high == pytest.approx(1 - 0.05 ** (1 / 20), rel=0.1)


@pytest.mark.parametrize("images", [1, 2])
def test_over_seeds_one_or_two_images_show_no_difference(images: int) -> None:
    found, p = difference_over_seeds(np.zeros((2, images)), np.ones((2, images)), 0.95)
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low < 0
    assert p > 0.2
    alike, p = difference_over_seeds(np.ones((2, 4)), np.ones((2, 4)), 0.95, np.zeros(4))  # of one cluster
    assert (alike.low, alike.high, p) == (-1.0, 1.0, 1.0)


@pytest.mark.parametrize(("ease", "gain"), [(1.9, 0.5), (3.5, 1.5), (4.5, 1.5)])
def test_the_interval_over_seeds_holds_the_true_difference_where_nearly_all_images_are_right_too(
    ease: float, gain: float
) -> None:
    assert coverage_over_seeds(runs=3, images=24, ease=ease, gain=gain, simulations=300)[0] > 0.94


@pytest.mark.medium
def test_holms_correction_worked_by_hand() -> None:
    # Three tests: the least p three times, the next twice, the last once, and never falling.
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_so_many_images_find_the_difference_four_times_in_five() -> None:
    images = images_needed(12, 30, 300)
    chance = np.random.default_rng(0)
    drawn = chance.multinomial(images, [12 / 300, 30 / 300, 258 / 300], size=2000)
    found = np.mean([mcnemar(int(a), int(b)) < 0.05 for a, b, _ in drawn])
    assert found == pytest.approx(exact_power(images, 42 / 300, 12 / 42), abs=0.03)
    assert 0.8 <= exact_power(images, 42 / 300, 12 / 42) < 0.81
    assert images_needed(4, 4, 100) is None


def predictions(images: int, seed: int, accuracy: float) -> pd.DataFrame:
    """Return predictions on the same images, sorted by class, by models of which some are better."""
    chance = np.random.default_rng(seed)
    actual = np.repeat(["ant", "bee"], images // 2)
    correct = chance.random(images) < accuracy
    other = np.where(actual == "ant", "bee", "ant")
    loss = np.where(correct, 0.1, 1.5) + chance.random(images)
    return pd.DataFrame(
        {
            "actual": actual,
            "predicted": np.where(correct, actual, other),
            "correct": correct.astype(int),
            "loss": loss,
            "squared_error": loss / 2,
        }
    )


def test_the_interval_is_scipys_paired_percentile_bootstrap() -> None:
    a, b = predictions(100, 0, 0.8), predictions(100, 1, 0.9)
    found = difference_with_interval(
        measures_of(a, ["loss"]), measures_of(b, ["loss"]), a["actual"].to_numpy(), 4000, 0.95, seed=0
    )
    difference = (b["loss"] - a["loss"]).to_numpy()
    mean_of_both = lambda ants, bees, axis=-1: (ants.mean(axis=axis) + bees.mean(axis=axis)) / 2  # noqa: E731
    wanted = bootstrap((difference[:50], difference[50:]), mean_of_both, n_resamples=4000, method="percentile", rng=1)
    low, high = wanted.confidence_interval
    measured = (found["loss"].value, found["loss"].low, found["loss"].high)
    assert measured == pytest.approx((difference.mean(), low, high), abs=0.08 * (high - low))


def test_a_model_compared_with_itself_differs_by_nothing() -> None:
    a = predictions(60, 0, 0.8)
    measures = measures_of(a, list(METRICS))
    found = difference_with_interval(measures, measures, a["actual"].to_numpy(), 100, 0.95, seed=0)
    assert all((own.value, own.low, own.high) == (0, 0, 0) for own in found.values())
    assert list(found) == list(METRICS)


def test_the_exact_test_rejects_at_most_one_in_twenty_without_a_difference() -> None:
    chance = np.random.default_rng(0)
    changed = chance.binomial(153, 0.1, 2000)
    only_a = chance.binomial(changed, 0.5)
    assert np.mean([mcnemar(int(a), int(n - a)) < 0.05 for a, n in zip(only_a, changed, strict=True)]) <= 0.05
