"""Any number of classes: the probability of the likeliest class below which an image is left to a person.

It is chosen on val so that wrong answers, which cost 1, and images left out, which cost `abstaining_cost`, cost least
there; of thresholds that cost alike it is the one nearest to Chow's, 1 - abstaining_cost, which costs least on new
images where the probabilities are true. Source: Chow 1970, "On optimum recognition error and reject tradeoff", IEEE
Transactions on Information Theory 16:41.
"""

import math

import numpy as np

from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measure, Measures
from stages.evaluate.folds import folds_of
from stages.evaluate.predictions import Predictions, SplitPredictions


def measures_with_abstaining(predictions: dict[str, SplitPredictions], settings: Evaluate, seed: int) -> Measures:
    """Return the threshold, and every split's measures at it; print it. Val's are cross-fitted, if folds can be made:
    each image is judged by a threshold that was chosen on the other folds."""
    val, cost = predictions["val"].calibrated, settings.threshold.abstaining_cost
    threshold = cheapest_threshold(sureness_of(val), ~val.right, cost)
    print(line_of_abstaining(threshold, cost))
    result = {("val", "threshold"): Measure(threshold, len(val.labels))}
    for split, (_, calibrated) in predictions.items():
        sure = cross_fitted(val, settings, seed) if split == "val" else sureness_of(calibrated) >= threshold
        if sure is not None:
            measures = measures_when_sure(sure, calibrated, settings.confidence)
            wrong = int((sure & ~calibrated.right).sum())
            measures["at_threshold_cost"] = Measure((wrong + cost * int((~sure).sum())) / len(sure), len(sure))
            result |= {(split, name): measure for name, measure in measures.items()}
    return result


def sureness_of(predictions: Predictions) -> np.ndarray:
    """Return the probability of each image's likeliest class, float64 (N,)."""
    return predictions.probabilities.max(axis=1)


def cheapest_threshold(sureness: np.ndarray, wrong: np.ndarray, cost: float) -> float:
    """Return the threshold of sureness (N,), from which on images are answered, that costs least on these images.

    `wrong`, bool (N,), is of each image's answer; `cost` that of none, where a wrong one costs 1.
    """
    candidates = np.unique([*sureness, *np.nextafter(sureness, math.inf), 1 - cost])
    left_out = np.searchsorted(np.sort(sureness), candidates)
    wrong_below = np.append(0, wrong[np.argsort(sureness)].cumsum())[left_out]
    total = cost * left_out + wrong.sum() - wrong_below
    best = candidates[np.isclose(total, total.min(), rtol=0, atol=1e-9)]
    return float(best[np.abs(best - (1 - cost)).argmin()])


def cross_fitted(val: Predictions, settings: Evaluate, seed: int) -> np.ndarray | None:
    """Return whether each image of val is answered, bool (N,), by a threshold that was chosen on the other folds."""
    parts = folds_of(val.labels, val.clusters, settings.folds, seed)
    if parts is None:
        return None
    sureness, wrong, sure = sureness_of(val), ~val.right, np.empty(len(val.labels), bool)
    for others, fold in parts:
        sure[fold] = sureness[fold] >= cheapest_threshold(
            sureness[others], wrong[others], settings.threshold.abstaining_cost
        )
    return sure


def measures_when_sure(sure: np.ndarray, predictions: Predictions, confidence: float) -> dict[str, Measure]:
    """Return the share of a split's images that are left out, those not `sure`, bool (N,), and the others' accuracy."""
    measures = {"at_threshold_abstained": share_of_images(~sure, predictions.clusters, confidence)}
    if sure.any():
        clusters = None if predictions.clusters is None else predictions.clusters[sure]
        measures["at_threshold_accuracy"] = share_of_images(predictions.right[sure], clusters, confidence)
    return measures


def line_of_abstaining(threshold: float, cost: float) -> str:
    """Return the line that the stage prints of the threshold."""
    return (
        f"threshold {threshold:.4f}: on val it costs least to leave out images that are less sure of a class, at "
        f"{cost:g} for each, where a wrong answer costs 1{how_to_leave_out(threshold)}"
    )


def how_to_leave_out(threshold: float) -> str:
    """Return how `tools.predict` is told of the threshold, with all its digits; of one that leaves out all or none,
    nothing."""
    return f": python -m tools.predict --abstain-below {threshold!r}" if 0 < threshold < 1 else ""
