"""How many known images may be rejected as unknown: the arithmetic of conformal p-values, in exact fractions.

An image's p-value is (1 + the val images at least as far away) / (val images + 1). It is unknown where that is at most
1 - keep. A known image that is drawn as the val images were is then unknown with a probability of at most 1 - keep.
Source: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", section 2.2; Bates, Candes, Lei,
Romano and Sesia 2023, "Testing for outliers with conformal p-values", Annals of Statistics 51:149, arXiv:2104.08279.
"""

import math
from fractions import Fraction


def largest_count(keep: float, val_images: int) -> int:
    """Return the largest numerator of a p-value that is at most 1 - keep; 0 where no image can be rejected.

    In fractions: 1 - 0.9 is less than 1 / 10 in floating point, and nine val images would reject nothing.
    """
    return math.floor((1 - Fraction(str(keep))) * (val_images + 1))


def images_needed(keep: float) -> int:
    """Return how many val images are needed before any image can be rejected."""
    return math.ceil(1 / (1 - Fraction(str(keep)))) - 1


def too_few_images(keep: float, val_images: int) -> str | None:
    """Return a line where so few val images can reject nothing; None where they can."""
    if largest_count(keep, val_images):
        return None
    return (
        f"no image can be called unknown: to keep {keep:.10g} of the known ones takes {images_needed(keep):,} val "
        f"images, and there are {val_images:,}"
    )
