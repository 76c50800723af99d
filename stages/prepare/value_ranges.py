"""Find the values that become black and white, alike for all images of more than 8 bits in the data set.

Cameras store 10, 12 or 14 bits in files of 16, which do not say so; 32-bit integers and floats have any range. One
image does not tell it either: it may be dark. So the range follows from the values of all images.
"""

from collections.abc import Iterable, Sequence

from plumbline.images.upright_eight_bit_rgb import kind_of_values
from stages.prepare.decoding import Unusable
from stages.prepare.parallel_decoding import UsableImage

DEPTHS = (8, 10, 12, 14, 16)  # bits, of cameras; more are taken as they are
DARK = 1 / 8  # floats of at most 1 that stay below this are not in [0, 1]

Range = Sequence[float]  # the values of black and white


def value_ranges(results: Iterable[UsableImage | Unusable], given: str | Range) -> dict[str, Range]:
    """Return the range of integers and of floats, for those that the data set has. `given` is `auto` or the range."""
    extremes: dict[str, list[tuple[float, float]]] = {}
    for result in results:
        if isinstance(result, UsableImage) and (kind := kind_of_values(result.facts.mode)):
            extremes.setdefault(kind, []).append((result.facts.lowest, result.facts.highest))
    if given != "auto":
        return {kind: list(given) for kind in sorted(extremes)}
    return {
        kind: range_in_use(min(low for low, _ in pairs), max(high for _, high in pairs), whole=kind == "integers")
        for kind, pairs in sorted(extremes.items())
    }


def range_in_use(low: float, high: float, *, whole: bool) -> Range:
    """Return the smallest usual range that holds all values; else that of the values, from 0 if they are all alike."""
    if not whole and low >= 0 and DARK <= high <= 1:
        return [0, 1]
    if low >= 0 and (whole or 1 < high < 2 ** DEPTHS[-1]):
        bits = int(high).bit_length()
        return [0, 2 ** next((depth for depth in DEPTHS if depth >= bits), bits) - 1]
    return [low, high] if low < high else [min(low, 0), max(high, 0) or 1]
