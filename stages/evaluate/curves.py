"""What a threshold chooses from: true against false positives (ROC), and precision against recall.

Of two classes the positive one's curve; of more, each class against the rest, and their mean.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_curve, roc_auc_score, roc_curve

from stages.evaluate.predictions import Predictions

POINTS = 200  # of a curve, at most
SHOWN = 10  # classes, beside the mean: those with the smallest area under the ROC curve

ROC_COLUMNS = ["split", "class", "false_positive_rate", "true_positive_rate"]
PRECISION_RECALL_COLUMNS = ["split", "class", "recall", "precision"]

Curve = tuple[np.ndarray, np.ndarray]  # x and y, x rising


def roc(is_class: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Return false and true positive rate, from no image taken for the class to all."""
    false_positive_rate, true_positive_rate, _ = roc_curve(is_class, probabilities)
    return false_positive_rate, true_positive_rate


def precision_recall(is_class: np.ndarray, probabilities: np.ndarray) -> Curve:
    """Return recall and precision, from no image taken for the class to all."""
    precision, recall, _ = precision_recall_curve(is_class, probabilities)
    return recall[::-1], precision[::-1]


def curve_tables(
    name: str, predictions: Predictions, positive: int, classes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a split's ROC and precision-recall curves; no row for classes that have no image, or all."""
    drawn = {c: predictions.labels == c for c in ([positive] if len(classes) == 2 else range(len(classes)))}
    drawn = {c: own for c, own in drawn.items() if own.any() and not own.all()}
    areas = {c: roc_auc_score(own, predictions.probabilities[:, c]) for c, own in drawn.items()}
    hardest = sorted(sorted(areas, key=areas.get)[:SHOWN])
    tables = []
    for curve_of, height, columns in (
        (roc, height_between, ROC_COLUMNS),
        (precision_recall, height_of_step, PRECISION_RECALL_COLUMNS),
    ):
        curves = {c: curve_of(own, predictions.probabilities[:, c]) for c, own in drawn.items()}
        shown = {classes[c]: thinned(curves[c]) for c in hardest}
        if len(curves) > 1:
            shown = {f"mean of {len(curves)} classes": mean_curve(list(curves.values()), height)} | shown
        rows = [[name, own, *point] for own, curve in shown.items() for point in zip(*curve, strict=True)]
        tables.append(pd.DataFrame(rows, columns=columns))
    return tables[0], tables[1]


def thinned(curve: Curve) -> Curve:
    """Return a curve with at most so many points, its ends among them."""
    kept = np.unique(np.linspace(0, len(curve[0]) - 1, POINTS).round().astype(int))
    return curve[0][kept], curve[1][kept]


def height_between(x: np.ndarray, curve: Curve) -> np.ndarray:
    """Return a ROC curve's height: between two thresholds it is a straight line (Fawcett 2006)."""
    return np.interp(x, *curve)


def height_of_step(x: np.ndarray, curve: Curve) -> np.ndarray:
    """Return the precision at which a recall is reached: no line leads to the next one (Davis and Goadrich 2006)."""
    return curve[1][np.searchsorted(curve[0], x)]


def mean_curve(curves: list[Curve], height: Callable[[np.ndarray, Curve], np.ndarray]) -> Curve:
    """Return the mean height of several curves over x from 0 to 1."""
    x = np.linspace(0, 1, POINTS)
    return x, np.mean([height(x, curve) for curve in curves], axis=0)
