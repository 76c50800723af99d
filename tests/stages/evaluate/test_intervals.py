"""The bootstrap's intervals are scipy's and those of the stratified variance."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from stages.evaluate.measures import loss_measures, ranking_measures, with_intervals
from tests.stages.evaluate.conftest import from_logits, random_predictions


@pytest.mark.medium
def test_the_bootstrap_is_scipys_percentile_bootstrap_of_the_classes() -> None:
    predictions = random_predictions(80, 2)
    is_positive, probability = predictions.labels == 1, predictions.probabilities[:, 1]
    samples = (probability[is_positive], probability[~is_positive])

    def auroc(positive: np.ndarray, negative: np.ndarray, axis: int = -1) -> float:
        return roc_auc_score([1] * len(positive) + [0] * len(negative), np.concatenate([positive, negative]))

    wanted = bootstrap(samples, auroc, n_resamples=4000, method="percentile", vectorized=False, rng=1)
    found = with_intervals(ranking_measures(predictions, 1), predictions, 4000, 0.95, seed=0)
    assert found["auroc"].value == pytest.approx(auroc(*samples))
    # Two bootstraps of 4,000 samples differ by chance: their quantiles by about 0.05 of the interval's width.
    width = wanted.confidence_interval.high - wanted.confidence_interval.low
    assert found["auroc"].low == pytest.approx(wanted.confidence_interval.low, abs=0.08 * width)
    assert found["auroc"].high == pytest.approx(wanted.confidence_interval.high, abs=0.08 * width)


def test_the_mean_loss_has_the_interval_that_the_stratified_variance_gives() -> None:
    predictions = random_predictions(2000, 3)
    found = with_intervals(loss_measures(predictions, predictions), predictions, 2000, 0.95, seed=0)
    groups = [predictions.losses[predictions.labels == c] for c in range(3)]
    error = np.sqrt(sum(len(own) * own.var() for own in groups)) / 2000
    assert found["loss"].high - found["loss"].low == pytest.approx(2 * 1.96 * error, rel=0.06)
    assert found["loss"].value == pytest.approx(predictions.losses.mean())


def test_drawn_from_all_images_the_mean_loss_has_the_interval_of_the_plain_variance() -> None:
    predictions = random_predictions(2000, 3)
    predictions.losses[predictions.labels == 0] += 3  # so that the shares of the classes matter
    found = with_intervals(loss_measures(predictions, predictions), predictions, 2000, 0.95, 0, "images")
    error = predictions.losses.std() / np.sqrt(2000)
    assert found["loss"].high - found["loss"].low == pytest.approx(2 * 1.96 * error, rel=0.06)


def test_a_sample_without_a_class_is_left_out_of_the_intervals_of_the_ranking() -> None:
    predictions = random_predictions(12, 4, seed=3)
    found = with_intervals(ranking_measures(predictions, 3), predictions, 300, 0.95, 0, "images")
    of_two = from_logits(np.array([0, 0, 0, 1]), np.eye(2)[[0, 0, 1, 1]])
    found |= {
        f"two {name}": own
        for name, own in with_intervals(ranking_measures(of_two, 1), of_two, 300, 0.95, 0, "images").items()
    }
    for own in found.values():
        assert 0 <= own.low <= own.value <= own.high <= 1


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    predictions = random_predictions(50, 3)
    first, again, other = (
        with_intervals(loss_measures(predictions, predictions), predictions, 100, 0.95, seed) for seed in (0, 0, 1)
    )
    assert first == again != other


def test_of_one_group_a_class_whole_groups_are_drawn_from_all_and_of_one_in_all_there_is_no_interval() -> None:
    predictions = random_predictions(40, 2)
    grouped = replace(predictions, clusters=predictions.labels)
    found = with_intervals(loss_measures(grouped, grouped), grouped, 200, 0.95, seed=0)
    assert found["loss"].high > found["loss"].low
    grouped = replace(predictions, clusters=np.zeros(40))
    found = with_intervals(loss_measures(grouped, grouped), grouped, 200, 0.95, seed=0)
    assert (found["loss"].low, found["loss"].high) == (None, None)
    assert found["loss"].value == pytest.approx(predictions.losses.mean())
