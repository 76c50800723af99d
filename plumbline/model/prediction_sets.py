"""Sets of classes that hold the true one as often as is asked for: split conformal prediction on the val images.

A class is in an image's set if its probability, divided by the likeliest class's, is at least a threshold. The val
images' true classes set the threshold: beside n of them, an image that is drawn as they were has its true class in the
set with a probability of at least ceil((n + 1) coverage) / (n + 1). The likeliest class is always in the set, and the
temperature, though it was fitted on val, changes no set. The arithmetic is that of unknown images.
Sources: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", sections 2.2 and 4.5 (for each
class); Angelopoulos and Bates 2021, "A gentle introduction to conformal prediction", arXiv:2107.07511, section 3.2 for
one draw of val; Johansson, Linusson, Lofstrom and Bostrom 2017, "Model-agnostic nonconformity functions for conformal
classification", IJCNN, for the margin to the likeliest class: the ratio's logarithm is that of log probabilities.
"""

import math
from typing import NamedTuple

import numpy as np

from plumbline.model.conformal_counts import images_needed, largest_count
from plumbline.run.errors import UserError

ROUNDING = 1e-3  # of a relative probability: two computations of it differ by less
RARELY = 0.05  # how rarely a draw of val has less than the line says


class Thresholds(NamedTuple):
    """The least relative probability with which each class is in a set, float64 (classes,), and what set them."""

    least: np.ndarray
    each_class: bool  # the coverage holds in each class; otherwise over all classes together
    images: list[int]  # how many val images set each threshold that is not another one's


def thresholds(labels: np.ndarray, relative: np.ndarray, classes: int, coverage: float) -> Thresholds:
    """Return the thresholds by val's labels (V,) and their relative probabilities (V,).

    Each class has its own where all have enough images for the coverage. Raises UserError if all together are too few.
    """
    needed, of_class = images_needed(coverage), [relative[labels == c] for c in range(classes)]
    if len(labels) < needed:
        raise UserError(
            f"a coverage of {coverage:.10g} takes {needed:,} val images, and the model has seen {len(labels):,}: give "
            f"more, or ask for at most {math.floor(1e4 * len(labels) / (len(labels) + 1)) / 1e4:g}"
        )
    each_class = min(map(len, of_class)) >= needed
    groups = of_class if each_class else [relative]
    least = [np.sort(group)[largest_count(coverage, len(group)) - 1] for group in groups]
    return Thresholds(np.resize(np.array(least, float), classes), each_class, [len(group) for group in groups])


def in_set(probabilities: np.ndarray, least: np.ndarray) -> np.ndarray:
    """Return whether each class is in the set of each image, bool (N, classes), by probabilities (N, classes).

    Where rounding could decide, it is.
    """
    return probabilities / probabilities.max(axis=1, keepdims=True) >= least * (1 - ROUNDING)


def relative_probabilities(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the labels' probabilities, divided by the likeliest classes', (N,), of probabilities (N, classes)."""
    return probabilities[np.arange(len(labels)), labels] / probabilities.max(axis=1)


def promise(class_thresholds: Thresholds, labels: np.ndarray, classes: list[str], coverage: float) -> str:
    """Return a line that says what the sets hold, and what one draw of so many val images may fall to."""
    low, images = min((low_coverage(own, coverage), own) for own in class_thresholds.images)
    where = "in each class"
    if not class_thresholds.each_class:
        of_class = np.bincount(labels, minlength=len(classes))
        few = f"{of_class.min():,} val images of {classes[of_class.argmin()]}"
        where = f"over all classes together (each class would take {images_needed(coverage):,}, and there are {few})"
    of_so_many = f"{images:,} val images{' of a class' * class_thresholds.each_class}"
    return (
        f"the sets hold the true class of {coverage:.10g} of images like those of val, {where}, on average over draws "
        f"of val; of {of_so_many} one draw in 20 gives less than {low:g}"
    )


def low_coverage(images: int, coverage: float) -> float:
    """Return the coverage, rounded down to two digits, that one draw in 20 of so many val images does not reach.

    It is not the lowest for the fewest images: one more may mean that one more is rejected.
    """
    from scipy.special import betaincinv  # needed with --coverage alone

    rejected = largest_count(coverage, images)
    return math.floor(100 * betaincinv(images + 1 - rejected, rejected, RARELY)) / 100
