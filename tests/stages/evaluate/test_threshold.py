"""The threshold is the best of all there are, tried one by one with scikit-learn's measures."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from plumbline.params.evaluate import Threshold
from stages.evaluate.threshold import choose_threshold, cross_fitted_measures, measures_at
from tests.stages.evaluate.conftest import from_logits, from_probabilities, random_predictions


def wish(**changes: object) -> Threshold:
    plain = {
        "aim": "accuracy",
        "minimum_recall": 0.9,
        "promised": 0.9,
        "false_positive_cost": 1.0,
        "false_negative_cost": 5.0,
        "abstaining_cost": 0.1,
    }
    return Threshold(**(plain | changes))


def merit(aim: str, actual: np.ndarray, taken: np.ndarray) -> float:
    if aim == "accuracy":
        return theirs.accuracy_score(actual, taken)
    if aim == "f1":
        return theirs.f1_score(actual, taken, zero_division=0)
    if aim == "cost":
        return -((taken & ~actual).sum() + 5.0 * (~taken & actual).sum()) / len(actual)
    recall = theirs.recall_score(actual, taken, zero_division=0)
    return theirs.precision_score(actual, taken, zero_division=0) if recall >= 0.9 else -1.0


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("positive", [0, 1])
@pytest.mark.parametrize("aim", ["accuracy", "f1", "recall", "cost"])
def test_no_threshold_serves_the_aim_better(aim: str, positive: int, ties: bool) -> None:
    for seed in range(10):
        predictions = random_predictions(24, 2, seed, ties=ties)
        probability, actual = predictions.probabilities[:, positive], predictions.labels == positive
        chosen = choose_threshold(predictions, positive, wish(aim=aim))
        every = [0.0, *probability, 1.1]
        assert merit(aim, actual, probability >= chosen) == pytest.approx(
            max(merit(aim, actual, probability >= threshold) for threshold in every)
        )
        found = measures_at(chosen, predictions, positive, wish(aim=aim), 0.95)
        assert found["at_threshold_recall"].value == pytest.approx(theirs.recall_score(actual, probability >= chosen))
        assert found["at_threshold_accuracy"].value == pytest.approx(
            theirs.accuracy_score(actual, probability >= chosen)
        )


def test_a_cross_fitted_accuracy_is_that_of_new_images_where_the_fitted_one_is_too_high() -> None:
    fitted, crossed, new = [], [], []
    for seed in range(200):
        predictions, fresh = (random_predictions(24, 2, seed + start, skill=1.3) for start in (0, 1000))
        chosen = choose_threshold(predictions, 1, wish())
        if chosen is None:
            continue
        found = cross_fitted_measures(predictions, 1, wish(), 5, 0.95, seed)
        assert found["at_threshold_accuracy"].images == 24
        fitted.append(measures_at(chosen, predictions, 1, wish(), 0.95)["at_threshold_accuracy"].value)
        crossed.append(found["at_threshold_accuracy"].value)
        new.append(measures_at(chosen, fresh, 1, wish(), 0.95)["at_threshold_accuracy"].value)
    error = np.std(new) / len(new) ** 0.5  # about 0.006
    assert np.mean(fitted) - np.mean(new) > 6 * error
    assert abs(np.mean(crossed) - np.mean(new)) < 4 * error


def test_every_image_is_judged_once_by_the_others_threshold() -> None:
    # The only bee that is below 0.4 is judged by a threshold that the others set, above it.
    predictions = from_probabilities([0] * 4 + [1] * 4, [[0.9, 0.1]] * 4 + [[0.6, 0.4]] + [[0.1, 0.9]] * 3)
    fitted = measures_at(choose_threshold(predictions, 1, wish()), predictions, 1, wish(), 0.95)
    assert fitted["at_threshold_accuracy"].value == 1
    found = cross_fitted_measures(predictions, 1, wish(), 4, 0.95, 0)
    assert found["at_threshold_recall"].value == 0.75
    assert cross_fitted_measures(from_probabilities([0, 1, 1], [[0.5, 0.5]] * 3), 1, wish(), 4, 0.95, 0) == {}


def test_of_thresholds_that_serve_alike_it_is_the_one_nearest_to_a_half() -> None:
    # Nothing lies between 0.2 and 0.7 but the two classes' border.
    predictions = from_probabilities([0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    assert choose_threshold(predictions, 1, wish()) == pytest.approx(0.45)


def test_none_can_be_called_positive_where_a_probability_rounds_to_1() -> None:
    # Two of ten ants are called bees with a probability of 1: a false bee costs 100, so that none is called one.
    logits = np.array([[0.0, 40.0]] * 2 + [[1.0, 0.0]] * 8 + [[0.0, 1.0]] * 2)
    predictions = from_logits(np.repeat([0, 1], [10, 2]), logits)
    assert predictions.probabilities[0, 1] == 1
    costly = wish(aim="cost", false_positive_cost=100.0, false_negative_cost=1.0)
    chosen = choose_threshold(predictions, 1, costly)
    assert measures_at(chosen, predictions, 1, costly, 0.95)["at_threshold_cost"].value == pytest.approx(2 / 12)


def test_a_measure_that_is_not_defined_is_left_out() -> None:
    none_called = from_probabilities([0, 0, 1], [[0.9, 0.1]] * 3)
    found = measures_at(0.5, none_called, 1, wish(), 0.95)
    assert "at_threshold_precision" not in found
    assert (found["at_threshold_recall"].value, found["at_threshold_f1"].value) == (0, 0)
    no_bee = from_probabilities([0, 0, 0], [[0.2, 0.8]] + [[0.9, 0.1]] * 2)
    found = measures_at(0.5, no_bee, 1, wish(), 0.95)
    assert "at_threshold_recall" not in found
    assert (found["at_threshold_precision"].value, found["at_threshold_f1"].value) == (0, 0)
    found = measures_at(0.9, no_bee, 1, wish(), 0.95)
    assert found.keys() == {"at_threshold_accuracy", "at_threshold_cost"}


def test_images_of_one_class_choose_none() -> None:
    assert choose_threshold(from_probabilities([1, 1], [[0.5, 0.5], [0.2, 0.8]]), 1, wish()) is None
