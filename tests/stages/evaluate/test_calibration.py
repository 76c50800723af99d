"""Calibration errors worked by hand, and by scikit-learn's curve; true probabilities give what is expected of them."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.calibration import calibration_curve

from plumbline.training.temperature import fit_temperature
from stages.evaluate.calibration import (
    bins_of,
    calibration_error,
    calibration_measures,
    correlation_within_clusters,
    error_if_calibrated,
    reliability_curve,
    reliability_table,
)
from stages.evaluate.predictions import Predictions, SplitPredictions, cross_fitted
from tests.stages.evaluate.conftest import from_logits, from_probabilities, random_predictions


def test_the_error_of_two_bins_worked_by_hand() -> None:
    # Ten images at 0.6, of which five are right; ten at 0.9, of which all are: 0.5 * 0.1 + 0.5 * 0.1.
    predictions = from_probabilities([0] * 5 + [1] * 5 + [0] * 10, [[0.6, 0.4]] * 10 + [[0.9, 0.1]] * 10)
    assert calibration_error(predictions, 15) == pytest.approx(0.1)
    assert reliability_curve(predictions, 15).to_numpy() == pytest.approx(np.array([[0.6, 0.5, 10], [0.9, 1.0, 10]]))
    assert reliability_curve(predictions, 1)["images"].to_list() == [20]


def test_the_curve_is_scikit_learns_with_quantiles() -> None:
    predictions = random_predictions(1500, 4)
    confidence, correct = predictions.probabilities.max(axis=1), predictions.predicted == predictions.labels
    accuracy, mean = calibration_curve(correct, confidence, n_bins=15, strategy="quantile")
    curve = reliability_curve(predictions, 15)
    assert curve["confidence"].to_numpy() == pytest.approx(mean)
    assert curve["accuracy"].to_numpy() == pytest.approx(accuracy)


def test_true_probabilities_have_the_error_that_is_expected_of_them_and_bold_ones_a_larger() -> None:
    chance = np.random.default_rng(0)
    errors, expected, bold = [], [], []
    for seed in range(20):
        logits = chance.normal(size=(500, 3))
        true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = np.array([chance.choice(3, p=p) for p in true])
        errors.append(calibration_error(from_logits(labels, logits), 15))
        expected.append(error_if_calibrated(from_logits(labels, logits), 15, 0.95, seed))
        bold.append(calibration_error(from_logits(labels, 3 * logits), 15))
    assert np.mean(errors) == pytest.approx(np.mean([own.value for own in expected]), rel=0.1)
    assert sum(own.low <= error <= own.high for error, own in zip(errors, expected, strict=True)) >= 17  # of 20
    assert min(bold) > 2 * max(own.value for own in expected)
    assert min(bold) > max(own.high for own in expected)


def test_each_calibration_error_has_its_own_reference() -> None:
    bold, true = random_predictions(300, 3, skill=4.0), random_predictions(300, 3, skill=0.5)
    found = calibration_measures(SplitPredictions(bold, true), 15, 0.95, seed=0)
    assert found["calibration_error_if_true"] == error_if_calibrated(bold, 15, 0.95, 0)
    assert found["calibrated_calibration_error_if_true"] == error_if_calibrated(true, 15, 0.95, 0)
    assert found["calibration_error"].value == calibration_error(bold, 15)


def test_no_bin_has_fewer_than_ten_images_because_of_ties() -> None:
    # Five images at 0.55, thirty at 0.7, five at 0.95: equal confidences share a bin.
    shares = [0.55] * 5 + [0.7] * 30 + [0.95] * 5
    predictions = from_probabilities([0] * 40, [[share, 1 - share] for share in shares])
    assert reliability_curve(predictions, 15)["images"].to_list() == [40]
    shares = [0.55] * 12 + [0.7] * 30 + [0.95] * 5
    predictions = from_probabilities([0] * 47, [[share, 1 - share] for share in shares])
    assert reliability_curve(predictions, 15)["images"].to_list() == [12, 35]


def test_the_table_holds_both_curves() -> None:
    before, after = random_predictions(40, 2, skill=2.0), random_predictions(40, 2, skill=1.0)
    table = reliability_table("val", SplitPredictions(before, after), 15)
    assert table.groupby("temperature")["images"].sum().to_dict() == {"after": 40, "before": 40}


def test_after_a_cross_fitted_temperature_vals_loss_is_no_better_than_that_of_new_images() -> None:
    """Where the fitted one's is: by 60 draws of 40 val images and 2,000 new ones."""
    fitted, crossed, new = [], [], []
    for seed in range(60):
        val, others = (random_predictions(images, 4, [seed, images], skill=1.5) for images in (40, 2000))
        temperature = fit_temperature(torch.from_numpy(val.log_probabilities), torch.from_numpy(val.labels))
        for losses, own in ((fitted, val), (new, others)):
            losses.append(from_logits(own.labels, own.log_probabilities / temperature).losses.mean())
        crossed.append(cross_fitted(val, 5, 0).losses.mean())
    error = np.std(np.subtract(crossed, new)) / np.sqrt(60)
    assert np.mean(fitted) < np.mean(crossed)
    assert np.mean(crossed) > np.mean(new) - 3 * error
    assert np.mean(crossed) < np.mean(new) + 4 * error


def test_with_a_single_image_of_a_class_no_temperature_is_cross_fitted() -> None:
    assert cross_fitted(from_probabilities([0, 1, 1], [[0.5, 0.5]] * 3), 5, 0) is None


@pytest.mark.medium
def test_a_true_model_is_rarely_above_the_end_where_its_images_belong_together() -> None:
    """100 simulations of 10 groups of 30, correlated by normal variables behind the results."""
    chance, clusters, above = np.random.default_rng(0), np.repeat(np.arange(10), 30), np.zeros(2)
    for seed in range(100):
        shared, own = chance.normal(size=(2, 10))[:, clusters], chance.normal(size=(2, 300))
        sure, results = 0.7 * shared + 0.7 * own
        true = 1 / (1 + np.exp(np.outer(2 * abs(sure), [-1, 1])))
        labels = (norm.cdf(results) > true[:, 0]).astype(int)
        for i, together in enumerate((None, clusters)):
            predictions = Predictions(labels, np.log(true), together)
            above[i] += calibration_error(predictions, 15) > error_if_calibrated(predictions, 15, 0.95, seed).high
    assert above[0] > 25
    assert above[1] < 10


def test_images_of_a_cluster_that_are_right_alike_have_a_correlation_of_1() -> None:
    clusters, right = np.repeat(np.arange(50), 4), np.repeat(np.arange(50) % 5 != 0, 4)
    logits = np.tile([np.log(0.8), np.log(0.2)], (200, 1))

    def correlation(labels: np.ndarray, together: np.ndarray) -> float:
        return correlation_within_clusters(bins_of(Predictions(labels, logits, together), 15))

    assert correlation((~right).astype(int), clusters) == pytest.approx(1)
    # Every fifth image wrong, in clusters of five: their errors of 0.2 and -0.8 cancel, and are not alike at all.
    assert correlation((np.arange(200) % 5 == 0).astype(int), np.repeat(np.arange(40), 5)) == 0
    # Nine wrong images show none.
    assert correlation((np.arange(200) < 9).astype(int), clusters) == 1


def test_the_correlation_is_the_one_by_which_images_of_different_confidence_were_drawn() -> None:
    chance, clusters = np.random.default_rng(0), np.repeat(np.arange(5000), 4)
    sureness = chance.uniform(0.5, 1, 20000)
    own, of_cluster = chance.random(20000), chance.random(5000)[clusters]
    # Two images have the number of their cluster with the probability 0.6; a normal copula would give another value.
    right = np.where(chance.random(20000) < np.sqrt(0.6), of_cluster, own) < sureness
    predictions = Predictions((~right).astype(int), np.log(np.stack([sureness, 1 - sureness], axis=1)), clusters)
    assert correlation_within_clusters(bins_of(predictions, 15)) == pytest.approx(0.6, abs=0.03)


def test_clusters_of_one_image_leave_the_reference_of_a_true_model_nearly_as_it_is() -> None:
    alone = random_predictions(300, 3)
    apart = Predictions(alone.labels, alone.log_probabilities, np.arange(300))
    found, wanted = (error_if_calibrated(own, 15, 0.95, 0) for own in (apart, alone))
    assert found[2:] == pytest.approx(wanted[2:], rel=0.05)
