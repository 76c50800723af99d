"""Calibration: of the images that are predicted with probability 0.9, nine in ten should be right."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from plumbline.results.intervals import FEW
from plumbline.results.measures_file import Measure
from stages.evaluate.predictions import Predictions, SplitPredictions

FEWEST = 10  # images a bin, unless the split itself has fewer
SIMULATIONS = 1000


@dataclass(frozen=True)
class Bins:
    """Images sorted by confidence, in bins of about equal size; images of equal confidence share a bin."""

    confidence: np.ndarray  # float64 (N,): the predicted class's probability, sorted
    correct: np.ndarray  # bool (N,)
    clusters: np.ndarray | None  # int (N,), from 0: the same for images that belong together; None if none do
    starts: np.ndarray  # int: the first image of each bin

    @property
    def sizes(self) -> np.ndarray:
        """Images in each bin."""
        return np.diff(self.starts, append=len(self.confidence))

    def means(self, values: np.ndarray) -> np.ndarray:
        """Return the mean over each bin of values (..., N)."""
        return np.add.reduceat(values, self.starts, axis=-1) / self.sizes


def bins_of(predictions: Predictions, most: int) -> Bins:
    """Return the images in at most `most` bins, and in fewer where a bin would have less than ten images."""
    confidence = predictions.probabilities.max(axis=1)
    order = np.argsort(confidence, kind="stable")
    confidence, images = confidence[order], len(order)
    number = int(np.clip(images // FEWEST, 1, most))
    starts = np.searchsorted(confidence, confidence[np.arange(number) * images // number])
    clusters = None if predictions.clusters is None else pd.factorize(predictions.clusters[order])[0]
    return Bins(confidence, predictions.right[order], clusters, whole_bins(np.unique(starts), images))


def whole_bins(starts: np.ndarray, images: int) -> np.ndarray:
    """Return the starts of bins of ten images or more: one that ties left smaller is merged with the next one."""
    kept = [0]
    for start in starts[1:]:
        if start - kept[-1] >= FEWEST and images - start >= FEWEST:
            kept.append(int(start))
    return np.array(kept)


def reliability_curve(predictions: Predictions, most: int) -> pd.DataFrame:
    """Return each bin's mean probability of the predicted class, the share that is right, and its size."""
    bins = bins_of(predictions, most)
    return pd.DataFrame(
        {
            "confidence": bins.means(bins.confidence),
            "accuracy": bins.means(bins.correct.astype(float)),
            "images": bins.sizes,
        }
    )


def calibration_error(predictions: Predictions, most: int) -> float:
    """Return the expected calibration error of the predicted class: equal-mass bins, plug-in estimate.

    It is biased upwards, the more so the fewer images there are: `error_if_calibrated` says by how much.
    Source: Naeini, Cooper and Hauskrecht 2015; equal-mass bins as Nixon et al. 2019, arXiv:1904.01685.
    """
    curve = reliability_curve(predictions, most)
    return float(np.average((curve["confidence"] - curve["accuracy"]).abs(), weights=curve["images"]))


def error_if_calibrated(predictions: Predictions, most: int, confidence: float, seed: int) -> Measure:
    """Return the mean calibration error of calibrated models with these confidences, and where their errors lie.

    By simulation. An error above the upper end is more than so few images, which may belong together, give a
    calibrated model.
    """
    bins, chance = bins_of(predictions, most), np.random.default_rng(seed)
    means = bins.means(bins.confidence)
    correlation, errors = correlation_within_clusters(bins), []
    for _ in range(SIMULATIONS):
        right = uniform(bins, correlation, chance) < bins.confidence
        errors.append(np.average(abs(means - bins.means(right.astype(float))), weights=bins.sizes))
    low, high = np.quantile(errors, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Measure(float(np.mean(errors)), len(predictions.labels), float(low), float(high))


def uniform(bins: Bins, correlation: float, chance: np.random.Generator) -> np.ndarray:
    """Return a number for each image, float64 (N,): uniform in [0, 1), and correlated within clusters.

    An image has its cluster's number with the root of the correlation as the chance, so that two have the same one, and
    are right or wrong alike, in as many draws as the correlation says. Source: Lunn and Davies 1998, "A note on
    generating correlated binary variables", Biometrika 85:487.
    """
    of_image = chance.random(len(bins.confidence))
    if bins.clusters is None:
        return of_image
    of_cluster = chance.random(bins.clusters.max() + 1)[bins.clusters]
    return np.where(chance.random(len(of_image)) < np.sqrt(correlation), of_cluster, of_image)


def correlation_within_clusters(bins: Bins) -> float:
    """Return the correlation in [0, 1] of being right among a cluster's images, if the confidences are true.

    The products of two images' errors over what `uniform` gives them if both have their cluster's number: both are
    right where it is below the smaller confidence. 1 where fewer than ten images are right or wrong: they show none.
    """
    right = int(bins.correct.sum())
    if bins.clusters is None or min(right, len(bins.correct) - right) < FEW:
        return 1.0
    confidence = bins.confidence
    surer = pd.Series(confidence).groupby(bins.clusters).cumcount(ascending=False)  # of the same cluster, int (N,)
    both_right = 2 * (confidence * surer).sum()
    observed = products_within_clusters(bins.correct - confidence, bins.clusters)
    alike = both_right - products_within_clusters(confidence, bins.clusters)
    return float(np.clip(observed / alike, 0, 1)) if alike > 0 else 1.0


def products_within_clusters(values: np.ndarray, clusters: np.ndarray) -> float:
    """Return the sum of values[i] values[j] over all ordered pairs of two images in one cluster."""
    return float((np.bincount(clusters, values) ** 2).sum() - (values**2).sum())


def calibration_measures(predictions: SplitPredictions, most: int, confidence: float, seed: int) -> dict[str, Measure]:
    """Return the calibration error before and after the temperature, each with that of a calibrated model."""
    measures = {}
    for prefix, version in zip(("", "calibrated_"), predictions, strict=True):
        measures[f"{prefix}calibration_error"] = Measure(calibration_error(version, most), len(version.labels))
        measures[f"{prefix}calibration_error_if_true"] = error_if_calibrated(version, most, confidence, seed)
    return measures


def reliability_table(name: str, predictions: SplitPredictions, most: int) -> pd.DataFrame:
    """Return a split's reliability curves, `before` and `after` the temperature."""
    curves = {
        "before": reliability_curve(predictions.plain, most),
        "after": reliability_curve(predictions.calibrated, most),
    }
    return pd.concat([curve.assign(split=name, temperature=which) for which, curve in curves.items()])
