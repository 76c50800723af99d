"""Compute the accuracy after each corruption with its interval, its change from the clean images, and one number."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import difference_of_shares, resampled_weights, share_of_images
from plumbline.results.measures_file import Measure
from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES

CLEAN = "none"


@dataclass(frozen=True)
class Answers:
    """Whether the model is right on each image, bool (N,)."""

    clean: np.ndarray
    corrupted: dict[tuple[str, int], np.ndarray]  # by corruption and severity


def results_table(answers: Answers, clusters: np.ndarray | None, confidence: float) -> pd.DataFrame:
    """Return one row a corruption and severity, the images as they are first.

    `change` is that of the accuracy on the same images, with Newcombe's paired interval; clusters (N,) as in intervals.
    """
    rows = [(CLEAN, 0, math.nan, *measured(answers.clean, clusters, confidence), 0.0, 0.0, 0.0)]
    for (name, severity), right in answers.corrupted.items():
        change = difference_of_shares(answers.clean, right, confidence, clusters)
        setting = CORRUPTIONS[name].settings[severity - 1]
        accuracy = measured(right, clusters, confidence)
        rows.append((name, severity, setting, *accuracy, change.value, change.low, change.high))
    columns = ["corruption", "severity", "setting", "accuracy", "low", "high", "change", "change_low", "change_high"]
    return pd.DataFrame(rows, columns=columns).assign(images=len(answers.clean))


def measured(right: np.ndarray, clusters: np.ndarray | None, confidence: float) -> tuple[float, float, float]:
    """Return the accuracy and the ends of its interval."""
    accuracy = share_of_images(right, clusters, confidence)
    return accuracy.value, accuracy.low, accuracy.high


def relative_accuracy(
    answers: Answers, labels: np.ndarray, clusters: np.ndarray | None, settings: Evaluate, seed: int
) -> Measure:
    """Return the mean accuracy over all corruptions and severities, in parts of that on the images as they are.

    Its interval is the percentile bootstrap's, which draws images with all that was made of them.
    """
    samples = relative_of_samples([answers], labels, clusters, settings, seed)[:, 0]
    low, high = np.quantile(samples, [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2])
    return Measure(relative_of(answers), len(answers.clean), float(low), float(high))


def relative_of(answers: Answers) -> float:
    """Return the mean accuracy over all corruptions and severities, in parts of that on the images as they are."""
    return float(np.mean(list(answers.corrupted.values()), axis=0).sum() / answers.clean.sum())


def relative_of_samples(
    models: list[Answers], labels: np.ndarray, clusters: np.ndarray | None, settings: Evaluate, seed: int
) -> np.ndarray:
    """Return the same of each of the bootstrap's samples, the same for all models, float64 (resamples, models)."""
    clean = np.stack([answers.clean.astype(float) for answers in models], axis=1)  # (N, models)
    mean = np.stack([np.mean(list(answers.corrupted.values()), axis=0) for answers in models], axis=1)
    drawn = resampled_weights(labels, settings.resamples, np.random.default_rng(seed), settings.sampling, clusters)
    # At least one right: a sample of a model that is hardly ever right may have none.
    return np.array([(weights @ mean) / np.maximum(weights @ clean, 1.0) for weights in drawn])


def as_text(table: pd.DataFrame, relative: Measure, split: str, confidence: float) -> str:
    """Return the accuracies at each severity, a row a corruption, and the one number."""
    clean, rest = table.iloc[0], table.iloc[1:]
    wide = rest.pivot(index="corruption", columns="severity", values="accuracy").loc[list(CORRUPTIONS)]
    wide = wide.assign(mean=wide[list(SEVERITIES)].mean(axis=1))
    lines = wide.reset_index().to_string(index=False, float_format=lambda value: f"{value:.3f}")
    return (
        f"accuracy on {relative.images} {split} images after each corruption, by severity; as they are "
        f"{clean['accuracy']:.3f}, {confidence:.0%} interval [{clean['low']:.3f}, {clean['high']:.3f}]\n\n{lines}\n\n"
        f"mean relative accuracy {relative.value:.3f}, {confidence:.0%} interval [{relative.low:.3f}, "
        f"{relative.high:.3f}]: the mean of these in parts of the accuracy on the images as they are"
    )
