"""Balanced accuracy and macro F1 are scikit-learn's, with and without weights."""

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, f1_score

from plumbline.results.class_scores import class_measures


@pytest.mark.parametrize("classes", [2, 3, 100])
def test_both_are_scikit_learns(classes: int) -> None:
    chance = np.random.default_rng(0)
    actual, predicted = chance.integers(0, classes, (2, 1000))
    for weights in (np.ones(1000), chance.integers(0, 4, 1000).astype(float)):
        found = class_measures(actual, predicted, classes)(weights)
        assert found["balanced_accuracy"] == pytest.approx(
            balanced_accuracy_score(actual, predicted, sample_weight=weights)
        )
        assert found["macro_f1"] == pytest.approx(f1_score(actual, predicted, average="macro", sample_weight=weights))


def test_a_class_without_an_image_takes_part_in_no_mean() -> None:
    # Class 2 is never met; an image of class 1 is taken for it.
    found = class_measures(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2]), 3)(np.ones(4))
    assert found == pytest.approx({"balanced_accuracy": 0.75, "macro_f1": (1 + 2 / 3) / 2})
