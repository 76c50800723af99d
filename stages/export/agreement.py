"""How far an exported model is from torch's, on the same images; and what eight bits cost in accuracy."""

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest


@dataclass(frozen=True)
class Agreement:
    """Of probabilities with torch's."""

    largest_difference: float
    same_class: float  # share of the images


def agreement(found: np.ndarray, wanted: np.ndarray) -> Agreement:
    """Return how far probabilities, (N, classes), are from those that are wanted; one that is no number is infinite."""
    largest = float(np.abs(found - wanted).max())
    return Agreement(
        math.inf if math.isnan(largest) else largest, float((found.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    )


def accuracy_change(before: np.ndarray, after: np.ndarray, confidence: float) -> tuple[float, float, float]:
    """Return how much more of the same images are right after than before, with its interval; both are bool (N,).

    Wilson's intervals of both accuracies, joined with regard to their correlation: unlike a bootstrap's it has a width
    where no image changed. Source: Newcombe 1998, "Improved confidence intervals for the difference between
    binomial proportions based on paired data", Statistics in Medicine 17:2635, method 10.
    """
    images = len(before)
    both, neither = int((before & after).sum()), int((~before & ~after).sum())
    gained, lost = int((~before & after).sum()), int((before & ~after).sum())
    p_after, p_before = (both + gained) / images, (both + lost) / images
    low_after, high_after = wilson(both + gained, images, confidence)
    low_before, high_before = wilson(both + lost, images, confidence)
    phi = correlation(both, gained, lost, neither)
    below, above = p_after - low_after, high_before - p_before
    low = math.sqrt(below**2 - 2 * phi * below * above + above**2)
    below, above = p_before - low_before, high_after - p_after
    high = math.sqrt(above**2 - 2 * phi * above * below + below**2)
    change = p_after - p_before
    return change, change - low, change + high


def wilson(hits: int, images: int, confidence: float) -> tuple[float, float]:
    """Return Wilson's interval of a share."""
    interval = binomtest(hits, images).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def correlation(both: int, gained: int, lost: int, neither: int) -> float:
    """Return the correlation of right and wrong before and after, corrected for continuity as Newcombe does."""
    margins = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if margins == 0:
        return 0.0
    product = both * neither - gained * lost
    images = both + gained + lost + neither
    if product > 0:
        product = max(product - images / 2, 0)
    return product / math.sqrt(margins)
