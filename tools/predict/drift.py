"""Say in one line whether images look like those of val: in brightness, distance, probability, size and features.

Each is compared with val's, which the model file holds, by the test of Kolmogorov and Smirnov for two samples; Holm's
correction keeps the false alarms of all together at the level. Images that are drawn as the val images were give
one rarely; images of another camera, of other classes or of another mix of classes may look otherwise. The tests are
written out, because scipy's and statsmodels' own would have to be imported at each start.
Sources: Smirnov 1939; Hodges 1958, "The significance probability of the Smirnov two-sample test", Arkiv for Matematik
3:469, for the exact count; Holm 1979, "A simple sequentially rejective multiple test procedure".
"""

from array import array
from collections.abc import Sequence

import numpy as np

from plumbline.classifier import Classifier, Prediction

FEWEST = 20  # images of either kind: of fewer the tests say little
LEVEL = 0.01  # how often images like those of val may look otherwise
MOST_STEPS = 1e7  # of the exact count; beyond, the limit for large samples, which is a little cautious, takes its place
ABOUT = {  # what is compared, and how images are called of which it is larger, and smaller
    "brightness": ("brighter", "darker"),
    "distance": ("farther from the training images", "nearer to the training images"),
    "probability": ("surer of a class", "less sure of a class"),
    "size": ("larger", "smaller"),
}
FEATURES = "features"  # along each of a few directions


class Compared:
    """Images as they are classified, to be compared with val once all are."""

    def __init__(self) -> None:
        self.values: dict[str, array] = {}  # float32, as val's are

    def add(self, prediction: Prediction) -> None:
        measures = {name: getattr(prediction, name) for name in ABOUT}
        measures |= {f"{FEATURES} {k}": value for k, value in enumerate(prediction.features or ())}
        for name, value in measures.items():
            if value is not None:
                self.values.setdefault(name, array("f")).append(value)

    def line(self, classifier: Classifier) -> str | None:
        """Return what is to be said; None of few images, and by a model that says nothing of its val images."""
        if classifier.val is None or not classifier.has_score or not self.values:
            return None
        val = {name: getattr(classifier.val, name) for name in ("brightness", "probability", "size")}
        val["distance"] = classifier.network.score.val_distances
        if classifier.directions is not None:
            val |= {f"{FEATURES} {k}": values for k, values in enumerate(classifier.val.features.T)}
        kept = {name: values for name, values in self.values.items() if val.get(name) is not None}
        return line_of({name: (np.array(values), val[name].cpu().numpy()) for name, values in kept.items()})


def line_of(samples: dict[str, tuple[np.ndarray, np.ndarray]]) -> str | None:
    """Return the line for what was measured of new images (M,) and of val (V,), by name."""
    images = min(len(new) for new, _ in samples.values())
    if min(images, *(len(val) for _, val in samples.values())) < FEWEST:
        return None
    adjusted = holm([p_value(new, val) for new, val in samples.values()])
    unlike: dict[str, float] = {}  # in what, with the smallest p
    for name, p in zip(samples, adjusted, strict=True):
        if p <= LEVEL:
            words = how_they_differ(name, *samples[name])
            unlike[words] = min(p, unlike.get(words, 1.0))
    if unlike:
        how = ", ".join(f"{words} (p {in_words(p)})" for words, p in unlike.items())
        return (
            f"these {images:,} images do not look like those of val: they are {how}; what was measured on val and test "
            "may not hold for them"
        )
    compared = ", ".join(dict.fromkeys(name.partition(" ")[0] for name in samples))
    return f"these {images:,} images look like those of val in {compared} (smallest p {in_words(min(adjusted))})"


def in_words(p: float) -> str:
    """Return a p-value as text; beyond a millionth rounding could decide."""
    return f"{p:.2g}" if p >= 1e-6 else "below 1e-06"


def how_they_differ(name: str, new: np.ndarray, val: np.ndarray) -> str:
    """Return in words how new values (M,) differ from val's (V,)."""
    if name not in ABOUT:
        return f"of other {FEATURES}"
    larger, smaller = ABOUT[name]
    above, below = np.median(new) - np.median(val), np.median(val) - np.median(new)
    return larger if above > below else smaller if below > above else f"of another {name}"


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values with Holm's correction, in their order."""
    order, adjusted, largest = np.argsort(p_values), [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        largest = max(largest, (len(p_values) - rank) * p_values[place])
        adjusted[place] = min(largest, 1.0)
    return adjusted


def p_value(one: np.ndarray, other: np.ndarray) -> float:
    """Return the two-sided p-value of samples (M,) and (N,); with ties it is cautious."""
    one, other = sorted((np.sort(one), np.sort(other)), key=len)
    m, n, every = len(one), len(other), np.concatenate([one, other])
    gaps = np.searchsorted(one, every, "right") * n - np.searchsorted(other, every, "right") * m
    largest = int(np.abs(gaps).max())  # m n times the largest gap of the distribution functions
    return exact(m, n, largest) if (m + n) * m <= MOST_STEPS else asymptotic(m, n, largest)


def exact(m: int, n: int, largest: int) -> float:
    """Return the share of all orders of m and n values with a gap of at least `largest` / (m n).

    Step by step, for k values of which i are of the first sample: the share of their orders without such a gap so far.
    """
    i, without = np.arange(m + 1), np.zeros(m + 1)
    without[0] = 1
    for k in range(1, m + n + 1):
        j = k - i
        last_of_first = np.append(0, without[:-1]) * i
        without = (last_of_first + without * np.maximum(j, 0)) / k
        without[(j < 0) | (j > n) | (np.abs(i * n - j * m) >= largest)] = 0
    return max(float(1 - without[m]), 0.0)


def asymptotic(m: int, n: int, largest: int) -> float:
    """Return the limit of the same for large samples."""
    root = largest / (m * n) * np.sqrt(m * n / (m + n))
    terms = np.arange(1, 101)
    return float(np.clip(2 * ((-1.0) ** (terms - 1) * np.exp(-2 * (terms * root) ** 2)).sum(), 0, 1))
