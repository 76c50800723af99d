"""Compute the measures of pooled folds, and the difference of two recipes, as plain values."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from plumbline.results.measures_file import Measure
from plumbline.run.errors import UserError
from tools.compare.comparison import METRICS, measures_of
from tools.compare.pairing import refuse_other_images
from tools.compare.revisions import Revision, differing_params
from tools.folds.pooling import FOLD, Pooled
from tools.folds.statistics import accuracy_difference_over_folds, accuracy_over_folds, half_width, p_over_folds

MOST = {"balanced_accuracy": 1.0, "macro_f1": 1.0, "loss": np.inf, "brier": np.inf}
NAMES = list(METRICS)


def results_of(pooled: list[Pooled], confidence: float) -> dict[str, Any]:
    """Return the measures of one recipe or two, and of two their difference."""
    first = pooled[0].predictions
    clusters = clusters_of(first)
    found: dict[str, Any] = {
        "images": len(first),
        "clusters": None if clusters is None else len(np.unique(clusters)),
        "folds": len(pooled[0].revisions),
        "confidence": confidence,
        "recipes": [recipe_results(own, confidence) for own in pooled],
    }
    if len(pooled) == 2:
        a, b = paired(*pooled)
        params = differing_params([a.revisions[0], b.revisions[0]])
        params.pop(FOLD, None)
        found |= {"params": params, "differences": differences(a, b, confidence)}
    return found


def recipe_results(pooled: Pooled, confidence: float) -> dict[str, Any]:
    """Return each measure on all images with its interval, and its value on each fold."""
    whole, of_folds = values_of(pooled.predictions), values_of_folds(pooled)
    metrics = {}
    for name in NAMES:
        half = half_width(of_folds[name], pooled.ratio, confidence)
        own = Measure(whole[name], len(pooled.predictions), whole[name] - half, whole[name] + half)
        if name == "accuracy":
            own = accuracy_over_folds(
                *right_and_folds(pooled), pooled.ratio, confidence, clusters_of(pooled.predictions)
            )
        else:
            own = own._replace(low=max(own.low, 0.0), high=min(own.high, MOST[name]))
        metrics[name] = {"value": own.value, "low": own.low, "high": own.high, "of_folds": of_folds[name].tolist()}
    return {
        "revisions": [own.name for own in pooled.revisions],
        "mistakes": int((pooled.predictions["correct"] == 0).sum()),
        "metrics": metrics,
    }


def differences(a: Pooled, b: Pooled, confidence: float) -> dict[str, dict[str, float]]:
    """Return b - a of each measure with its interval and its p-value."""
    ratio = max(a.ratio, b.ratio)
    whole_a, whole_b = values_of(a.predictions), values_of(b.predictions)
    folds_a, folds_b = values_of_folds(a), values_of_folds(b)
    found = {}
    for name in NAMES:
        change, of_folds = whole_b[name] - whole_a[name], folds_b[name] - folds_a[name]
        half = half_width(of_folds, ratio, confidence)
        own, p = Measure(change, len(a.predictions), change - half, change + half), p_over_folds(of_folds, ratio)
        if name == "accuracy":
            right, folds = right_and_folds(a)
            clusters = clusters_of(b.predictions)
            own, p = accuracy_difference_over_folds(right, right_and_folds(b)[0], folds, ratio, confidence, clusters)
        found[name] = {"difference": own.value, "low": own.low, "high": own.high, "p": p}
    return found


def paired(a: Pooled, b: Pooled) -> tuple[Pooled, Pooled]:
    """Return both with their images in one order. Raises UserError for other images or other folds."""
    ours, theirs = a.revisions[0].name, b.revisions[0].name
    ordered_a, ordered_b = a.predictions.sort_index(), b.predictions.sort_index()
    refuse_other_images(Revision(ours, ordered_a, {}, {}), Revision(theirs, ordered_b, {}, {}))
    other = ordered_a.index[(ordered_a["fold"] != ordered_b["fold"]).to_numpy()]
    if len(other):
        raise UserError(
            f"{ours} and {theirs} cannot be compared: {len(other)} images, {other[0]} the first, are in another fold; "
            "run both with the same data.folds and data.split_seed"
        )
    return replace(a, predictions=ordered_a), replace(b, predictions=ordered_b)


def values_of(predictions: pd.DataFrame) -> dict[str, float]:
    """Return each measure on these images."""
    return measures_of(predictions, NAMES)(np.ones(len(predictions)))


def values_of_folds(pooled: Pooled) -> dict[str, np.ndarray]:
    """Return each measure on each fold's images, (k,)."""
    values = [values_of(own) for _, own in pooled.predictions.groupby("fold")]
    return {name: np.array([own[name] for own in values]) for name in NAMES}


def right_and_folds(pooled: Pooled) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each image is right, bool (N,), and its fold (N,)."""
    return pooled.predictions["correct"].to_numpy(bool), pooled.predictions["fold"].to_numpy()


def clusters_of(predictions: pd.DataFrame) -> np.ndarray | None:
    """Return the cluster of each image (N,), or None if no two share one."""
    if "cluster" not in predictions or predictions["cluster"].is_unique:
        return None
    return predictions["cluster"].to_numpy()
