"""Predictions to measure."""

import numpy as np

from stages.evaluate.predictions import Predictions


def random_predictions(images: int, classes: int, seed: int = 0, skill: float = 1.0, ties: bool = False) -> Predictions:
    """Return predictions that are right more often than not; with ties, probabilities of one decimal."""
    chance = np.random.default_rng(seed)
    labels = chance.integers(0, classes, images)
    logits = chance.normal(size=(images, classes))
    logits[np.arange(images), labels] += skill
    if ties:
        logits = logits.round()
    return from_logits(labels, logits)


def from_logits(labels: np.ndarray, logits: np.ndarray) -> Predictions:
    return Predictions(np.asarray(labels), logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def from_probabilities(labels: list[int], probabilities: list[list[float]]) -> Predictions:
    return Predictions(np.array(labels), np.log(np.array(probabilities)))
