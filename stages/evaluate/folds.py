"""Folds for what is fitted and judged on the same split: stratified by class, and without leaks."""

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold


def folds_of(
    labels: np.ndarray, clusters: np.ndarray | None, folds: int, seed: int
) -> list[tuple[np.ndarray, np.ndarray]] | None:
    """Return the positions of the other folds' images and of its own for each fold, fewer folds for small classes.

    Images that belong together, which have the same number in `clusters` (N,), are in one fold: a near copy under the
    same wrong label would vouch for it. None where there is no way to leave every class in what each fold is judged by,
    as where a class has a single image, or cluster.
    """
    groups = np.arange(len(labels)) if clusters is None else clusters
    classes = np.unique(labels)
    smallest = min(len(np.unique(groups[labels == label])) for label in classes)
    kind = StratifiedKFold if clusters is None else StratifiedGroupKFold
    state = seed % 2**32  # scikit-learn takes no larger one
    for number in range(min(folds, smallest) if len(classes) > 1 else 1, 1, -1):
        parts = list(kind(number, shuffle=True, random_state=state).split(labels, labels, clusters))
        if all(len(np.unique(labels[others])) == len(classes) for others, _ in parts):
            return parts
    return None
