"""Every measure of a split, with its interval: accuracies, class means, losses, ranking, calibration, F1 of each class.

Shares of images have Clopper and Pearson's interval, most other measures that of the percentile bootstrap; all allow
for images that belong together.
A class without an image in the split is left out of every mean.
"""

import math

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from plumbline.params.evaluate import Evaluate
from plumbline.results.class_scores import WeightedMeasures, class_measures
from plumbline.results.intervals import Sampling, resampled_weights, share_of_images
from plumbline.results.measures_file import Measure
from stages.evaluate.calibration import calibration_measures
from stages.evaluate.predictions import Predictions, SplitPredictions
from stages.evaluate.ranking import RankingMeasures, rankings

TOP = 5  # top-5 accuracy, for more classes than that
WORK = 500_000_000  # images x classes x resamples, at most, for the ranking measures
FEWEST_RESAMPLES = 100


def split_measures(
    predictions: SplitPredictions, ranked_by: Predictions, positive: int, settings: Evaluate, seed: int
) -> dict[str, Measure]:
    """Return a split's measures by name; those that begin with `calibrated_` are after the temperature.

    Images are ranked by probabilities after one temperature: those after several, one a fold, do not compare.
    """
    plain, calibrated = predictions
    result = {"accuracy": share_of_images(plain.right, plain.clusters, settings.confidence)}
    if plain.classes > TOP:
        result[f"top{TOP}_accuracy"] = share_of_images(among_likeliest(plain, TOP), plain.clusters, settings.confidence)
    for measures in (class_measures(plain.labels, plain.predicted, plain.classes), loss_measures(plain, calibrated)):
        result |= with_intervals(measures, plain, settings.resamples, settings.confidence, seed, settings.sampling)
    resamples = ranking_resamples(ranked_by, settings.resamples)
    ranked = ranking_measures(ranked_by, positive)
    result |= with_intervals(ranked, plain, resamples, settings.confidence, seed, settings.sampling)
    return result | calibration_measures(predictions, settings.calibration_bins, settings.confidence, seed)


def among_likeliest(predictions: Predictions, k: int) -> np.ndarray:
    """Return for each image, bool (N,), whether its label is among the k likeliest; a tie counts against the model."""
    of_label = predictions.log_probabilities[np.arange(len(predictions.labels)), predictions.labels]
    ahead = (predictions.log_probabilities >= of_label[:, None]).sum(axis=1) - 1
    return ahead < k


def loss_measures(plain: Predictions, calibrated: Predictions) -> WeightedMeasures:
    """Return the log loss, in nats, and the Brier score before and after calibration, as functions of the weights."""
    names = ("loss", "calibrated_loss", "brier", "calibrated_brier")
    values = np.stack([plain.losses, calibrated.losses, plain.squared_errors, calibrated.squared_errors])
    return lambda weights: dict(zip(names, (values @ weights / weights.sum()).tolist(), strict=True))


def ranking_measures(predictions: Predictions, positive: int) -> WeightedMeasures:
    """Return AUROC and average precision, means over the classes, as functions of the weights; none for one class."""
    ranked = rankings(predictions, positive)

    def measures(weights: np.ndarray) -> dict[str, float]:
        if not ranked:
            return {}
        pairs = [pair for pair in (ranking.measures(weights) for ranking in ranked) if pair is not None]
        means = np.mean(pairs, axis=0).tolist() if pairs else [math.nan, math.nan]
        return RankingMeasures(*means)._asdict()

    return measures


def ranking_resamples(predictions: Predictions, wish: int) -> int:
    """Return the number of resamples for the ranking measures: fewer where many images have many classes."""
    rankings = 1 if predictions.classes == 2 else predictions.classes
    return min(wish, max(FEWEST_RESAMPLES, WORK // (len(predictions.labels) * rankings)))


def with_intervals(
    measures: WeightedMeasures,
    predictions: Predictions,
    resamples: int,
    confidence: float,
    seed: int,
    sampling: Sampling = "classes",
) -> dict[str, Measure]:
    """Return each measure with its percentile interval over bootstrap samples, which are drawn as the images came.

    A sample that lacks the classes for a measure is left out of that measure's interval. Images that all belong
    together give none.
    Source: Efron and Tibshirani 1993, "An introduction to the bootstrap", the percentile interval.
    """
    order = drawing_order(predictions)
    chance = np.random.default_rng(seed)
    whole = measures(np.ones(len(order)))
    samples, weights = [], np.empty(len(order))
    clusters = None if predictions.clusters is None else predictions.clusters[order]
    if clusters is not None and len(np.unique(clusters)) == 1:
        return {name: Measure(value, len(order)) for name, value in whole.items()}
    for drawn in resampled_weights(predictions.labels[order], resamples, chance, sampling, clusters):
        weights[order] = drawn
        samples.append(measures(weights))
    result = {}
    for name, value in whole.items():
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        low, high = np.nanquantile([sample[name] for sample in samples], tails)
        result[name] = Measure(value, len(order), float(low), float(high))
    return result


def drawing_order(predictions: Predictions) -> np.ndarray:
    """Return the images grouped by class, in an order by class size and loss.

    It does not depend on the order of the images or of the classes, so neither do the intervals.
    """
    labels, losses, errors = predictions.labels, predictions.losses, predictions.squared_errors
    totals = np.array([np.sort(losses[labels == c]).sum() for c in range(predictions.classes)])
    sizes = np.bincount(labels, minlength=predictions.classes)
    return np.lexsort((errors, losses, labels, totals[labels], sizes[labels]))


def per_class_table(name: str, predictions: Predictions, classes: list[str]) -> pd.DataFrame:
    """Return precision, recall and F1 in [0, 1] of every class; 0 where a class has no image or no prediction."""
    precision, recall, f1, images = precision_recall_fscore_support(
        predictions.labels, predictions.predicted, labels=range(len(classes)), zero_division=0
    )
    return pd.DataFrame(
        {"split": name, "class": classes, "images": images, "precision": precision, "recall": recall, "f1": f1}
    )
