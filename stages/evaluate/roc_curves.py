"""ROC and precision-recall curves: what each threshold on a class's probability would give.

For two classes the positive one's curve; for more, each class against the rest, and their mean.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from stages.evaluate.predictions import Predictions
from stages.evaluate.ranking import ranking_scores

POINTS = 200  # of a curve, at most
SHOWN = 10  # classes beside the mean, at most: those with the smallest area under the ROC curve

ROC_COLUMNS = ["split", "class", "false_positive_rate", "true_positive_rate"]
PRECISION_RECALL_COLUMNS = ["split", "class", "recall", "precision"]


class Curve(NamedTuple):
    """A curve's points, sorted by x."""

    x: np.ndarray
    y: np.ndarray


class CurveTables(NamedTuple):
    """A split's curves, one row a point."""

    roc: pd.DataFrame
    precision_recall: pd.DataFrame


def roc(is_class: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Return the true over the false positive rate, from the highest threshold to the lowest."""
    false_positive_rate, true_positive_rate, _ = roc_curve(is_class, probabilities)
    return Curve(false_positive_rate, true_positive_rate)


def precision_recall(is_class: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Return the precision over the recall, from the highest threshold to the lowest."""
    precision, recall, _ = precision_recall_curve(is_class, probabilities)
    return Curve(recall[::-1], precision[::-1])


def curve_tables(name: str, predictions: Predictions, positive: int, classes: list[str]) -> CurveTables:
    """Return a split's ROC and precision-recall curves; a class with no image, or with every image, has no rows."""
    drawn = {c: predictions.labels == c for c in ([positive] if len(classes) == 2 else range(len(classes)))}
    drawn = {c: is_class for c, is_class in drawn.items() if is_class.any() and not is_class.all()}
    scores = ranking_scores(predictions)
    areas = {c: roc_auc_score(is_class, scores[:, c]) for c, is_class in drawn.items()}
    hardest = sorted(sorted(areas, key=areas.get)[:SHOWN])
    tables = []
    for curve_of, height, columns in (
        (roc, height_between, ROC_COLUMNS),
        (precision_recall, height_of_step, PRECISION_RECALL_COLUMNS),
    ):
        curves = {c: curve_of(is_class, scores[:, c]) for c, is_class in drawn.items()}
        shown = {classes[c]: thinned(curves[c]) for c in hardest}
        if len(curves) > 1:
            shown = {f"mean of {len(curves)} classes": mean_curve(list(curves.values()), height)} | shown
        rows = [[name, class_name, *point] for class_name, curve in shown.items() for point in zip(*curve, strict=True)]
        tables.append(pd.DataFrame(rows, columns=columns))
    return CurveTables(*tables)


def thinned(curve: Curve) -> Curve:
    """Return at most `POINTS` of a curve's points, with both ends."""
    kept = np.unique(np.linspace(0, len(curve.x) - 1, POINTS).round().astype(int))
    return Curve(curve.x[kept], curve.y[kept])


def height_between(x: np.ndarray, curve: Curve) -> np.ndarray:
    """Return a ROC curve's height at x: between two thresholds the curve is a straight line (Fawcett 2006)."""
    return np.interp(x, curve.x, curve.y)


def height_of_step(x: np.ndarray, curve: Curve) -> np.ndarray:
    """Return the precision at which each recall is reached: a step, not a line (Davis and Goadrich 2006)."""
    return curve.y[np.searchsorted(curve.x, x)]


def mean_curve(curves: list[Curve], height: Callable[[np.ndarray, Curve], np.ndarray]) -> Curve:
    """Return the mean height of several curves over x from 0 to 1."""
    x = np.linspace(0, 1, POINTS)
    return Curve(x, np.mean([height(x, curve) for curve in curves], axis=0))
