"""Samples of a split, drawn with replacement within each class, as weights on its images."""

from collections.abc import Iterator

import numpy as np


def resampled_weights(labels: np.ndarray, resamples: int, chance: np.random.Generator) -> Iterator[np.ndarray]:
    """Yield how often each image counts, float64 (N,): as many are drawn of each class as there are.

    Labels, of any type, stand class by class. Source: Efron and Tibshirani 1993, "An introduction to the bootstrap",
    with the classes as strata.
    """
    images = len(labels)
    starts = np.append(0, np.flatnonzero(labels[1:] != labels[:-1]) + 1)
    sizes = np.diff(starts, append=images)
    first, count = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    for _ in range(resamples):
        drawn = first + (chance.random(images) * count).astype(np.int64)
        yield np.bincount(drawn, minlength=images).astype(float)
