"""The model's predictions on one split, as arrays and as the rows of plots/predictions.csv."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from plumbline.training.splits import Split
from plumbline.training.temperature import fit_temperature
from stages.evaluate.folds import folds_of


@dataclass(frozen=True)
class Predictions:
    """The labels of a split's images, the probability of every class for each of them, and which belong together."""

    labels: np.ndarray  # int (N,)
    log_probabilities: np.ndarray  # float64 (N, classes)
    clusters: np.ndarray | None = None  # int (N,), the same for images that belong together; None if none do

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities in [0, 1], float64 (N, classes)."""
        return np.exp(self.log_probabilities)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, int (N,)."""
        return self.log_probabilities.argmax(axis=1)

    @cached_property
    def right(self) -> np.ndarray:
        """Whether the likeliest class is the label, bool (N,)."""
        return self.predicted == self.labels

    @cached_property
    def losses(self) -> np.ndarray:
        """Cross-entropy of each image in nats, float64 (N,)."""
        return -self.log_probabilities[np.arange(len(self.labels)), self.labels]

    @cached_property
    def squared_errors(self) -> np.ndarray:
        """Each image's term of the Brier score, float64 (N,): in [0, 1] for two classes, else in [0, 2].

        Source: Brier 1950, "Verification of forecasts expressed in terms of probability"; halved for two classes, as
        scikit-learn does.
        """
        probabilities = self.probabilities
        of_label = probabilities[np.arange(len(self.labels)), self.labels]
        errors = (probabilities**2).sum(axis=1) - of_label**2 + (1 - of_label) ** 2
        return errors / 2 if self.classes == 2 else errors

    @property
    def classes(self) -> int:
        """The number of classes that the model knows; some may have no image in the split."""
        return self.log_probabilities.shape[1]


class SplitPredictions(NamedTuple):
    """A split's predictions before and after the temperature, which changes probabilities and no predicted class."""

    plain: Predictions
    calibrated: Predictions


def predictions_of(
    logits: torch.Tensor, labels: torch.Tensor, temperature: float, clusters: np.ndarray | None
) -> Predictions:
    """Return the predictions for logits (N, classes) that are divided by a temperature, and labels (N,)."""
    return Predictions(labels.numpy(), (logits / temperature).log_softmax(dim=1).numpy(), clusters)


def cross_fitted(predictions: Predictions, folds: int, seed: int) -> Predictions | None:
    """Return val's predictions after the temperature, each image's by one that was fitted on the other folds.

    Measures on the images by which a temperature was chosen would be too good. None where a class has too few images.
    """
    parts = folds_of(predictions.labels, predictions.clusters, folds, seed)
    if parts is None:
        return None
    logits, labels = torch.from_numpy(predictions.log_probabilities), torch.from_numpy(predictions.labels)
    log_probabilities = np.empty_like(predictions.log_probabilities)
    for others, fold in parts:
        log_probabilities[fold] = (
            (logits[fold] / fit_temperature(logits[others], labels[others])).log_softmax(dim=1).numpy()
        )
    return replace(predictions, log_probabilities=log_probabilities)


def predictions_table(
    name: str, split: Split, predictions: Predictions, clusters: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """Return one row an image; `probability` is that of the predicted class, `loss` is in nats.

    `clusters` (N,) has the same number for images that belong together.
    """
    predicted = predictions.predicted
    return pd.DataFrame(
        {
            "split": name,
            "path": split.paths,
            "actual": [classes[label] for label in predictions.labels],
            "predicted": [classes[label] for label in predicted],
            "probability": predictions.probabilities.max(axis=1),
            "correct": predictions.right.astype(int),
            "loss": predictions.losses,
            "squared_error": predictions.squared_errors,
            "sha256": split.sha256,
            "cluster": clusters,
        }
    )
