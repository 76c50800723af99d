"""The threshold is the best of all there are, tried one by one with scikit-learn's measures."""

import numpy as np
import pytest
from sklearn import metrics as theirs

from plumbline.params.evaluate import Threshold
from stages.evaluate.threshold import choose_threshold, measures_at
from tests.stages.evaluate.conftest import from_probabilities, random_predictions


def wish(**changes: object) -> Threshold:
    plain = {"aim": "accuracy", "minimum_recall": 0.9, "false_positive_cost": 1.0, "false_negative_cost": 5.0}
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


def test_of_thresholds_that_serve_alike_it_is_the_one_nearest_to_a_half() -> None:
    # Nothing lies between 0.2 and 0.7 but the two classes' border.
    predictions = from_probabilities([0, 0, 1, 1], [[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.1, 0.9]])
    assert choose_threshold(predictions, 1, wish()) == pytest.approx(0.45)


def test_images_of_one_class_choose_none() -> None:
    assert choose_threshold(from_probabilities([1, 1], [[0.5, 0.5], [0.2, 0.8]]), 1, wish()) is None
