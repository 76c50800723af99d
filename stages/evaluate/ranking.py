"""Measures of the order in which a class's probabilities put the images: AUROC and average precision."""

from dataclasses import dataclass

import numpy as np

from stages.evaluate.predictions import Predictions


@dataclass(frozen=True)
class Ranking:
    """The images from the likeliest to the least likely of a class; those of one probability stand together."""

    order: np.ndarray  # int (N,)
    positive: np.ndarray  # float64 (N,): 1 where the image, in this order, is of the class
    ends: np.ndarray  # int: the last place of each probability

    def measures(self, weights: np.ndarray) -> tuple[float, float]:
        """Return AUROC and average precision, where image i counts weights[i] times; both classes must be there.

        AUROC is the chance that an image of the class is ranked before another one, a tie counting half: the area of
        trapezoids. Average precision is the sum of precisions, each times the gain in recall.
        """
        weights = weights[self.order]
        both = weights.cumsum()[self.ends]
        hits = (weights * self.positive).cumsum()[self.ends]
        others = both - hits
        gained = np.diff(hits, prepend=0)
        area = (np.diff(others, prepend=0) * (hits - gained / 2)).sum() / (hits[-1] * others[-1])
        precision = np.divide(hits, both, out=np.zeros_like(hits), where=both > 0)
        return float(area), float((gained * precision).sum() / hits[-1])


def ranking_of(probabilities: np.ndarray, is_class: np.ndarray) -> Ranking:
    """Rank images by a class's probability (N,); `is_class` (N,) says which are of it."""
    order = np.argsort(-probabilities, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    return Ranking(order, is_class[order].astype(float), ends)


def rankings(predictions: Predictions, positive: int) -> list[Ranking]:
    """Return the rankings to average over: of two classes the positive one's, of more each one against the rest.

    Classes without an image, or with all of them, have none.
    """
    classes = [positive] if predictions.classes == 2 else range(predictions.classes)
    members = ((c, predictions.labels == c) for c in classes)
    return [ranking_of(predictions.probabilities[:, c], own) for c, own in members if own.any() and not own.all()]
