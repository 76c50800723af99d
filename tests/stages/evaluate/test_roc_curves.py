"""ROC and precision-recall curves: their areas are scikit-learn's, they start and end where they must."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from stages.evaluate.roc_curves import POINTS, SHOWN, curve_tables
from tests.stages.evaluate.conftest import from_logits, random_predictions


@pytest.mark.parametrize("positive", [0, 1])
def test_of_two_classes_the_areas_are_those_of_the_positive_one(positive: int) -> None:
    predictions = random_predictions(5000, 2)
    roc, precision_recall = curve_tables("val", predictions, positive, ["ant", "bee"])
    is_class, probabilities = predictions.labels == positive, predictions.probabilities[:, positive]
    area = np.trapezoid(roc["true_positive_rate"], roc["false_positive_rate"])
    assert area == pytest.approx(roc_auc_score(is_class, probabilities), abs=1e-3)
    recall, precision = precision_recall["recall"].to_numpy(), precision_recall["precision"].to_numpy()
    steps = (np.diff(recall) * precision[1:]).sum()
    assert steps == pytest.approx(average_precision_score(is_class, probabilities), abs=5e-3)
    for table in (roc, precision_recall):
        assert set(table["class"]) == {["ant", "bee"][positive]}
        assert len(table) <= POINTS
    assert roc.iloc[[0, -1], 2:].to_numpy().tolist() == [[0, 0], [1, 1]]
    assert precision_recall["recall"].is_monotonic_increasing


def test_of_many_classes_the_hardest_stand_beside_the_mean() -> None:
    predictions = random_predictions(3000, 100)
    classes = [f"class {i}" for i in range(100)]
    roc, precision_recall = curve_tables("val", predictions, 99, classes)
    areas = [roc_auc_score(predictions.labels == c, predictions.probabilities[:, c]) for c in range(100)]
    hardest = {classes[c] for c in np.argsort(areas)[:SHOWN]}
    for table in (roc, precision_recall):
        assert set(table["class"]) == {"mean of 100 classes"} | hardest
    mean = roc[roc["class"] == "mean of 100 classes"]
    area = np.trapezoid(mean["true_positive_rate"], mean["false_positive_rate"])
    assert area == pytest.approx(np.mean(areas), abs=5e-3)
    mean = precision_recall[precision_recall["class"] == "mean of 100 classes"]
    precisions = [average_precision_score(predictions.labels == c, predictions.probabilities[:, c]) for c in range(100)]
    assert mean["precision"].iloc[1:].mean() == pytest.approx(np.mean(precisions), abs=5e-3)


def test_a_class_without_an_image_has_no_curve() -> None:
    logits = np.random.default_rng(0).normal(size=(30, 3))
    roc, _ = curve_tables("val", from_logits(np.arange(30) % 2, logits), 2, ["a", "b", "c"])
    assert set(roc["class"]) == {"mean of 2 classes", "a", "b"}
    for table in curve_tables("val", from_logits(np.zeros(30, int), logits), 2, ["a", "b", "c"]):
        assert table.empty
        assert list(table)[:2] == ["split", "class"]
