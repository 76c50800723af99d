"""AUROC and average precision: how well a class's probabilities put its images before all others."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from stages.evaluate.predictions import Predictions

SATURATED = 1e-9  # nearer to 0 or 1 than this a probability loses digits that its log has


class RankingMeasures(NamedTuple):
    """Of one class against the rest, both in [0, 1]."""

    auroc: float
    average_precision: float


@dataclass(frozen=True)
class Ranking:
    """The images sorted by a class's probability, the likeliest first. Images of equal probability form a tie."""

    order: np.ndarray  # int (N,): the images, sorted
    members: np.ndarray  # int: the images of the class, sorted
    ties: np.ndarray  # int: of each tie that has a member, the first one's index in `members`
    starts: np.ndarray  # int: the first place of each such tie in `order`
    ends: np.ndarray  # int: its last place

    def measures(self, weights: np.ndarray) -> RankingMeasures | None:
        """Return the measures, where image i counts weights[i] times; None without images in or outside the class.

        AUROC is the probability that an image of the class is ranked before another one, a tie counting half. Average
        precision is the sum of precisions, each times the gain in recall.
        """
        ranked = weights[self.order].cumsum()
        both, before = ranked[self.ends], np.where(self.starts > 0, ranked[self.starts - 1], 0)
        gained = np.add.reduceat(weights[self.members], self.ties)
        hits = gained.cumsum()
        others = ranked[-1] - hits[-1]
        if hits[-1] == 0 or others == 0:
            return None
        others_before, others_tied = before - (hits - gained), both - before - gained
        area = (gained * (others - others_before - others_tied / 2)).sum() / (hits[-1] * others)
        precision = np.divide(hits, both, out=np.zeros_like(hits), where=both > 0)
        return RankingMeasures(float(area), float((gained * precision).sum() / hits[-1]))


def ranking_scores(predictions: Predictions) -> np.ndarray:
    """Return scores, float64 (N, classes), in the order of the probabilities, also where these round to 0 or 1.

    A probability above 1 - 1e-9 is scored by the log of the others' sum, one below 1e-9 by its own log; the scores of
    the one kind are at least 1, of the other at most 0. In between it is the probability.
    """
    logs, scores = predictions.log_probabilities, predictions.probabilities.copy()
    scores[scores < SATURATED] = logs[scores < SATURATED] - np.log(SATURATED)
    rows = np.flatnonzero(predictions.probabilities.max(axis=1) > 1 - SATURATED)
    columns = predictions.predicted[rows]
    others = logs[rows]
    others[np.arange(len(rows)), columns] = -np.inf
    with np.errstate(divide="ignore"):  # a model of one class has no others
        scores[rows, columns] = 1 + np.maximum(np.log(SATURATED) - np.logaddexp.reduce(others, axis=1), 0)
    return scores


def ranking_of(probabilities: np.ndarray, is_class: np.ndarray) -> Ranking:
    """Rank images by a class's score (N,); `is_class`, bool (N,), marks its images, at least one."""
    order = np.argsort(-probabilities, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probabilities[order])), len(order) - 1)
    places = np.flatnonzero(is_class[order])
    tie_of_member = np.searchsorted(ends, places)
    tied, ties = np.unique(tie_of_member, return_index=True)
    starts = np.append(0, ends[:-1] + 1)
    return Ranking(order, order[places], ties, starts[tied], ends[tied])


def rankings(predictions: Predictions, positive: int) -> list[Ranking]:
    """Return the rankings to average over: for two classes the positive one's, for more each one against the rest.

    A class with no image, or with every image, has no ranking.
    """
    classes = [positive] if predictions.classes == 2 else range(predictions.classes)
    members = ((c, predictions.labels == c) for c in classes)
    scores = ranking_scores(predictions)
    return [ranking_of(scores[:, c], is_class) for c, is_class in members if is_class.any() and not is_class.all()]
