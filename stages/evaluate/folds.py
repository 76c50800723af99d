"""Folds for what is fitted and judged on the same split: stratified by class, and without leaks."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold


def folds_of(
    labels: np.ndarray, clusters: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return the positions of the other folds' images and of its own for each fold, fewer folds for small classes.

    Images that belong together, which have the same number in `clusters` (N,), are in one fold: a near copy under the
    same wrong label would vouch for it. None where a class has fewer than two images, or clusters.
    """
    own = np.arange(len(labels)) if clusters is None else clusters
    smallest = min(len(np.unique(own[labels == label])) for label in np.unique(labels))
    if smallest < 2 or len(np.unique(labels)) < 2:
        return None
    kind = StratifiedKFold if clusters is None else StratifiedGroupKFold
    parts = kind(min(folds, smallest), shuffle=True, random_state=seed)
    return list(parts.split(labels, labels, clusters))
