"""Compare revisions whose images are paired, and return what is printed as plain values."""

import itertools
import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from plumbline.results.class_scores import WeightedMeasures, class_measures
from plumbline.results.intervals import difference_of_shares, independent_images
from plumbline.run.errors import UserError
from tools.compare.pairing import relabelled
from tools.compare.revisions import SEED, Revision, differing_params
from tools.compare.statistics import (
    difference_over_seeds,
    difference_with_interval,
    holm,
    images_needed,
    mcnemar,
    mcnemar_of_clusters,
)

MEANS = {"accuracy": "correct", "loss": "loss", "brier": "squared_error"}  # metric: column
OF_OWN_LABELS = ("loss", "brier")  # of the probability of the label, which predictions.csv does not have for others
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "brier")


@dataclass(frozen=True)
class Settings:
    """What is compared, and how the intervals are drawn."""

    metrics: list[str]
    confidence: float
    resamples: int
    seed: int


def compare_two(revisions: list[Revision], split: str, settings: Settings) -> dict[str, Any]:
    """Compare two revisions: each metric's difference with its interval, and the images that one alone gets right.

    Measures that the predictions alone do not give, AUROC say, stand beside each other as `evaluate` computed them.
    """
    settings = with_known_metrics(settings, revisions)
    a, b = (revision.predictions for revision in revisions)
    clusters = clusters_of(revisions)
    of_a, of_b = (measures_of(predictions, settings.metrics) for predictions in (a, b))
    differences = difference_with_interval(
        of_a,
        of_b,
        a["actual"].to_numpy(),
        settings.resamples,
        settings.confidence,
        settings.seed,
        revisions[-1].params.get("evaluate.sampling", "classes"),
        clusters,
    )
    right_in_a, right_in_b = (predictions["correct"].to_numpy(bool) for predictions in (a, b))
    if "accuracy" in differences:
        differences["accuracy"] = difference_of_shares(right_in_a, right_in_b, settings.confidence, clusters)
    everyone = np.ones(len(a))
    values_a, values_b = of_a(everyone), of_b(everyone)
    metrics = {
        name: {
            "a": values_a[name],
            "b": values_b[name],
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
        }
        for name, difference in differences.items()
    }
    only_a = a.index[right_in_a & ~right_in_b].to_list()
    only_b = a.index[~right_in_a & right_in_b].to_list()
    changes = right_in_b.astype(float) - right_in_a
    needed = images_needed(len(only_a), len(only_b), len(a))
    design_effect = len(a) / independent_images(changes, clusters, settings.confidence)
    return {
        **common(revisions, split, settings),
        "metrics": metrics,
        "unpaired": unpaired(revisions, split),
        "right_in_a_alone": only_a,
        "right_in_b_alone": only_b,
        "mcnemar_p": p_value(changes, clusters),
        "images_needed": needed and math.ceil(needed * design_effect),
    }


def compare_many(revisions: list[Revision], split: str, settings: Settings) -> dict[str, Any]:
    """Compare several revisions: each metric, and McNemar's test of each pair, after Holm.

    Revisions that differ by the seed alone are one recipe: it has a mean and a deviation of each metric. Two recipes
    with at least two seeds each are compared over the seeds.
    """
    settings = with_known_metrics(settings, revisions)
    everyone = np.ones(len(revisions[0].predictions))
    clusters = clusters_of(revisions)
    values = [measures_of(revision.predictions, settings.metrics)(everyone) for revision in revisions]
    metrics = {name: {"values": [of_revision[name] for of_revision in values]} for name in settings.metrics}
    recipes = recipes_of(revisions)
    if len(recipes) == 1:
        for metric in metrics.values():
            metric |= {"mean": float(np.mean(metric["values"])), "deviation": float(np.std(metric["values"], ddof=1))}
    over_seeds = None
    if len(recipes) == 2 and all(len(runs) > 1 for runs in recipes):
        right = [np.stack([run.predictions["correct"].to_numpy(float) for run in runs]) for runs in recipes]
        difference, p = difference_over_seeds(*right, settings.confidence, clusters)
        over_seeds = {
            "a": [run.name for run in recipes[0]],
            "b": [run.name for run in recipes[1]],
            "difference": difference.value,
            "low": difference.low,
            "high": difference.high,
            "p": p,
        }
    pairs = []
    for a, b in itertools.combinations(revisions, 2):
        ours, theirs = a.predictions["correct"].to_numpy(float), b.predictions["correct"].to_numpy(float)
        only_a, only_b = int((ours > theirs).sum()), int((ours < theirs).sum())
        pairs.append(
            {
                "a": a.name,
                "b": b.name,
                "accuracy_difference": float(theirs.mean() - ours.mean()),
                "right_in_a_alone": only_a,
                "right_in_b_alone": only_b,
                "mcnemar_p": p_value(theirs - ours, clusters),
            }
        )
    corrected = holm([pair["mcnemar_p"] for pair in pairs])
    pairs = [pair | {"holm_p": p} for pair, p in zip(pairs, corrected, strict=True)]
    return {**common(revisions, split, settings), "metrics": metrics, "pairs": pairs, "over_seeds": over_seeds}


def with_known_metrics(settings: Settings, revisions: list[Revision]) -> Settings:
    """Return the settings without what predictions.csv has for each revision's own labels alone, if labels differ.

    Raises UserError if nothing is left.
    """
    if not relabelled(revisions):
        return settings
    left = [name for name in settings.metrics if name not in OF_OWN_LABELS]
    if not left:
        raise UserError(
            f"{' and '.join(settings.metrics)} cannot be compared where labels differ, for plots/predictions.csv has "
            "the probability of the predicted class alone: leave --metric out"
        )
    return replace(settings, metrics=left)


def clusters_of(revisions: list[Revision]) -> np.ndarray | None:
    """Return the cluster of each image (N,) after the last revision that names clusters; None if no two share one.

    Raises UserError if all images belong together.
    """
    named = [revision.predictions["cluster"].to_numpy() for revision in revisions if "cluster" in revision.predictions]
    if not named or len(np.unique(named[-1])) == len(named[-1]):
        return None
    if len(np.unique(named[-1])) == 1:
        raise UserError(
            f"all {len(named[-1])} images belong together (data.groups, copies, near copies): they say nothing of a "
            "difference on other images; give images of other groups, or another --split"
        )
    return named[-1]


def p_value(changes: np.ndarray, clusters: np.ndarray | None) -> float:
    """Return McNemar's exact p-value for -1, 0 or 1 an image (N,), right in A or B alone, or that for clusters."""
    if clusters is None:
        return mcnemar(int((changes < 0).sum()), int((changes > 0).sum()))
    return mcnemar_of_clusters(changes, clusters)


def recipes_of(revisions: list[Revision]) -> list[list[Revision]]:
    """Return the revisions grouped by all parameters but the seed; one with a seed that its group has is left out."""
    groups: list[list[Revision]] = []
    for revision in revisions:
        alike = [group for group in groups if set(differing_params([group[0], revision])) <= {SEED}]
        if not alike:
            groups.append([revision])
        elif revision.params.get(SEED) not in [other.params.get(SEED) for other in alike[0]]:
            alike[0].append(revision)
    return groups


def measures_of(predictions: pd.DataFrame, wanted: list[str]) -> WeightedMeasures:
    """Return the metrics in `wanted`, of METRICS; loss in nats, after the temperature."""
    names = pd.Index(predictions["actual"]).append(pd.Index(predictions["predicted"])).unique()
    actual, predicted = (names.get_indexer(predictions[column]) for column in ("actual", "predicted"))
    of_classes = class_measures(actual, predicted, len(names))
    values = np.stack([predictions[column].to_numpy(float) for column in MEANS.values()])

    def measures(weights: np.ndarray) -> dict[str, float]:
        means = dict(zip(MEANS, (values @ weights / weights.sum()).tolist(), strict=True))
        result = means | of_classes(weights)
        return {name: result[name] for name in wanted}

    return measures


def unpaired(revisions: list[Revision], split: str) -> dict[str, list[dict[str, Any] | None]]:
    """Return the measures of plots/measures.csv that are not paired, in each revision; None where it has none.

    The paired loss and Brier score are those after the model's temperature: `calibrated_loss` and `calibrated_brier`
    there, which on val are cross-fitted.
    """
    names = dict.fromkeys(name for revision in revisions for of, name in revision.measures if of == split)
    other = [name for name in names if name.removeprefix("calibrated_") not in METRICS]
    measures = {name: [revision.measures.get((split, name)) for revision in revisions] for name in other}
    return {name: [measure and measure._asdict() for measure in values] for name, values in measures.items()}


def common(revisions: list[Revision], split: str, settings: Settings) -> dict[str, Any]:
    """Return what every comparison has."""
    return {
        "revisions": [revision.name for revision in revisions],
        "split": split,
        "images": len(revisions[0].predictions),
        "relabelled": relabelled(revisions),
        "left_out": list(revisions[0].left_out),
        "clusters": None if (clusters := clusters_of(revisions)) is None else len(np.unique(clusters)),
        "confidence": settings.confidence,
        "params": differing_params(revisions),
    }
