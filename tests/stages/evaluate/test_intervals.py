"""The bootstrap's intervals are scipy's and those of the stratified variance."""

import numpy as np
import pytest
from scipy.stats import bootstrap
from sklearn.metrics import roc_auc_score

from stages.evaluate.measures import loss_measures, ranking_measures, with_intervals
from tests.stages.evaluate.conftest import random_predictions


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


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    predictions = random_predictions(50, 3)
    first, again, other = (
        with_intervals(loss_measures(predictions, predictions), predictions, 100, 0.95, seed) for seed in (0, 0, 1)
    )
    assert first == again != other
