"""What the model says of one split, as arrays."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch


@dataclass(frozen=True)
class Predictions:
    """Probabilities of every class for every image, and the labels. Calibrated, where a temperature was applied."""

    labels: np.ndarray  # int (N,)
    log_probabilities: np.ndarray  # float64 (N, classes)

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Probabilities in [0, 1], float64 (N, classes)."""
        return np.exp(self.log_probabilities)

    @cached_property
    def predicted(self) -> np.ndarray:
        """The likeliest class of each image, int (N,)."""
        return self.log_probabilities.argmax(axis=1)

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
        own = probabilities[np.arange(len(self.labels)), self.labels]
        errors = (probabilities**2).sum(axis=1) - own**2 + (1 - own) ** 2
        return errors / 2 if self.classes == 2 else errors

    @property
    def classes(self) -> int:
        """How many classes the model knows; some may have no image here."""
        return self.log_probabilities.shape[1]


def predictions_of(logits: torch.Tensor, labels: torch.Tensor, temperature: float) -> Predictions:
    """Return the predictions for logits (N, classes) that are divided by a temperature, and labels (N,)."""
    return Predictions(labels.numpy(), (logits / temperature).log_softmax(dim=1).numpy())
