"""The measures of a split's predictions, for any weighting of its images: what the bootstrap draws on.

A class without an image in the split takes part in no average.
"""

import numpy as np

from plumbline.results.class_scores import Measures
from stages.evaluate.predictions import Predictions
from stages.evaluate.ranking import rankings


def loss_measures(plain: Predictions, calibrated: Predictions) -> Measures:
    """Return the log loss, in nats, and the Brier score before and after calibration, as functions of the weights."""
    names = ("loss", "calibrated_loss", "brier", "calibrated_brier")
    values = np.stack([plain.losses, calibrated.losses, plain.squared_errors, calibrated.squared_errors])
    return lambda weights: dict(zip(names, (values @ weights / weights.sum()).tolist(), strict=True))


def ranking_measures(predictions: Predictions, positive: int) -> Measures:
    """Return AUROC and average precision, means over the classes, as functions of the weights; none for one class."""
    ranked = rankings(predictions, positive)

    def measures(weights: np.ndarray) -> dict[str, float]:
        if not ranked:
            return {}
        auroc, precision = np.mean([ranking.measures(weights) for ranking in ranked], axis=0).tolist()
        return {"auroc": auroc, "average_precision": precision}

    return measures


def hits_among_likeliest(predictions: Predictions, k: int) -> int:
    """Return how many images have their label among the k likeliest classes; a tie counts against the model."""
    own = predictions.log_probabilities[np.arange(len(predictions.labels)), predictions.labels]
    ahead = (predictions.log_probabilities >= own[:, None]).sum(axis=1) - 1
    return int((ahead < k).sum())
