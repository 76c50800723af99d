"""Compute the measures of pooled folds, and the difference of two recipes, as plain values."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from plumbline.results.intervals import resampled_weights
from plumbline.results.measures_file import Measure
from plumbline.run.errors import UserError
from tools.compare.comparison import METRICS, measures_of
from tools.compare.pairing import refuse_other_images
from tools.compare.revisions import Revision, differing_params
from tools.compare.statistics import difference_with_interval
from tools.folds.pooling import FOLD, Pooled
from tools.folds.statistics import accuracy_difference_over_folds, accuracy_over_folds, half_width

NAMES = list(METRICS)
UNBOUNDED = ("loss", "brier")  # above: the Brier score of many classes reaches 2
RESAMPLES = 2000  # of the bootstrap


def results_of(pooled: list[Pooled], confidence: float) -> dict[str, Any]:
    """Return the measures of one recipe or two, and of two their difference."""
    if len(pooled) == 2:
        refuse_other_folds(*pooled)
    pooled = [replace(recipe, predictions=recipe.predictions.sort_values("actual", kind="stable")) for recipe in pooled]
    first = pooled[0].predictions
    clusters = clusters_of(first)
    result: dict[str, Any] = {
        "images": len(first),
        "clusters": None if clusters is None else len(np.unique(clusters)),
        "folds": len(pooled[0].revisions),
        "confidence": confidence,
        "recipes": [recipe_results(recipe, confidence) for recipe in pooled],
    }
    if len(pooled) == 2:
        a, b = pooled
        params = differing_params([a.revisions[0], b.revisions[0]])
        params.pop(FOLD, None)
        result |= {"params": params, "differences": differences(a, b, confidence)}
    return result


def recipe_results(pooled: Pooled, confidence: float) -> dict[str, Any]:
    """Return each measure on all images with its interval, and its value on each fold.

    An interval is never narrower than that of the images alone: Clopper and Pearson's, or the percentile bootstrap's.
    """
    whole, of_folds = values_of(pooled.predictions), values_of_folds(pooled)
    of_images = bootstrap_intervals(pooled, confidence)
    metrics = {}
    for name in NAMES:
        half = half_width(of_folds[name], pooled.ratio, confidence)
        low, high = of_images[name]
        measure = Measure(
            whole[name], len(pooled.predictions), min(low, whole[name] - half), max(high, whole[name] + half)
        )
        if name == "accuracy":
            clusters = clusters_of(pooled.predictions)
            measure = accuracy_over_folds(*right_and_folds(pooled), pooled.ratio, confidence, clusters)
        low, high = max(measure.low, 0.0), measure.high if name in UNBOUNDED else min(measure.high, 1.0)
        metrics[name] = {"value": measure.value, "low": low, "high": high, "of_folds": of_folds[name].tolist()}
    return {
        "revisions": [revision.name for revision in pooled.revisions],
        "mistakes": int((pooled.predictions["correct"] == 0).sum()),
        "metrics": metrics,
    }


def bootstrap_intervals(pooled: Pooled, confidence: float) -> dict[str, tuple[float, float]]:
    """Return the percentile interval of each measure on all images."""
    labels, measures = pooled.predictions["actual"].to_numpy(), measures_of(pooled.predictions, NAMES)
    chance, clusters = np.random.default_rng(0), clusters_of(pooled.predictions)
    samples = [measures(drawn) for drawn in resampled_weights(labels, RESAMPLES, chance, pooled.sampling, clusters)]
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    return {name: tuple(np.quantile([sample[name] for sample in samples], tails).tolist()) for name in NAMES}


def differences(a: Pooled, b: Pooled, confidence: float) -> dict[str, dict[str, float]]:
    """Return b - a of each measure with its interval, and of the accuracy the p-value."""
    ratio, clusters = max(a.ratio, b.ratio), clusters_of(b.predictions)
    folds_a, folds_b = values_of_folds(a), values_of_folds(b)
    of_images = difference_with_interval(
        measures_of(a.predictions, NAMES),
        measures_of(b.predictions, NAMES),
        a.predictions["actual"].to_numpy(),
        RESAMPLES,
        confidence,
        seed=0,
        sampling=b.sampling,
        clusters=clusters,
    )
    result = {}
    for name, difference in of_images.items():
        half = half_width(folds_b[name] - folds_a[name], ratio, confidence)
        low, high = min(difference.low, difference.value - half), max(difference.high, difference.value + half)
        if name not in UNBOUNDED:
            low, high = max(low, -1.0), min(high, 1.0)
        result[name] = {"difference": difference.value, "low": low, "high": high}
    (right, folds), (right_b, _) = right_and_folds(a), right_and_folds(b)
    difference, p = accuracy_difference_over_folds(right, right_b, folds, ratio, confidence, clusters)
    result["accuracy"] = {"difference": difference.value, "low": difference.low, "high": difference.high, "p": p}
    return result


def refuse_other_folds(a: Pooled, b: Pooled) -> None:
    """Raise UserError unless both have the same images under the same classes in the same folds."""
    ours, theirs = a.revisions[0].name, b.revisions[0].name
    refuse_other_images(Revision(ours, a.predictions, {}, {}), Revision(theirs, b.predictions, {}, {}))
    labels, other_labels = a.predictions["actual"], b.predictions["actual"]
    other = labels.index[(labels != other_labels).to_numpy()]
    if len(other):
        raise UserError(
            f"{ours} and {theirs} cannot be compared: {len(other)} images, {other[0]} the first, have other labels "
            f"({labels[other[0]]}, {other_labels[other[0]]}): run the folds of both recipes with the same labels and "
            "data.corrections"
        )
    other = a.predictions.index[(a.predictions["fold"] != b.predictions["fold"]).to_numpy()]
    if len(other):
        raise UserError(
            f"{ours} and {theirs} cannot be compared: {len(other)} images, {other[0]} the first, are in another fold; "
            "run both with the same data.folds and data.split_seed"
        )


def values_of(predictions: pd.DataFrame) -> dict[str, float]:
    """Return each measure on these images."""
    return measures_of(predictions, NAMES)(np.ones(len(predictions)))


def values_of_folds(pooled: Pooled) -> dict[str, np.ndarray]:
    """Return each measure on each fold's images, (k,)."""
    values = [values_of(rows) for _, rows in pooled.predictions.groupby("fold")]
    return {name: np.array([of_fold[name] for of_fold in values]) for name in NAMES}


def right_and_folds(pooled: Pooled) -> tuple[np.ndarray, np.ndarray]:
    """Return whether each image is right, bool (N,), and its fold (N,)."""
    return pooled.predictions["correct"].to_numpy(bool), pooled.predictions["fold"].to_numpy()


def clusters_of(predictions: pd.DataFrame) -> np.ndarray | None:
    """Return the cluster of each image (N,), or None if no two share one."""
    if "cluster" not in predictions or predictions["cluster"].is_unique:
        return None
    return predictions["cluster"].to_numpy()
