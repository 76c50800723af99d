"""How far the intervals and the test of `tools.folds` hold, by simulation of trainings that share their images.

    python -m benchmarks.folds [SIMULATIONS]

A recipe learns the means of two classes on some features. The stable one takes the nearer mean, of features that say
equally much; the other looks at the one feature whose means are farthest apart, where every second one says nothing.
The accuracy of what they learn is known exactly. First, how often the 95 % interval of the accuracy holds the recipe's
mean accuracy on training sets of this size. Then how often tests reject at 5 %: of two recipes that see other features,
as many and as good (size), or of which the second sees more (power). They have a third of the features in common.
Prints the tables of docs/statistics.md.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from plumbline.results.intervals import share_of_images
from tools.compare.statistics import LEVEL, mcnemar
from tools.folds.statistics import (
    accuracy_difference_over_folds,
    accuracy_over_folds,
    half_width,
    means,
    p_over_folds,
)

DEFAULT = 2000  # simulations
AT_ONCE = 100
CONFIDENCE, FOLDS = 0.95, 5
SIZES = (60, 200, 600)  # images


@dataclass(frozen=True)
class Recipe:
    """What is learnt, and of what."""

    name: str
    features: int
    distance: float  # between the classes' means in a feature that says something, in deviations
    one_feature: bool = False

    def distances(self, features: int) -> np.ndarray:
        """Return the distance between the classes' means in each feature."""
        return self.distance * (np.arange(features) % 2 == 0 if self.one_feature else np.ones(features))


RECIPES = (
    Recipe("stable", 6, 0.6),
    Recipe("stable", 30, 0.6),
    Recipe("stable", 30, 1.0),
    Recipe("unstable", 6, 0.5, one_feature=True),
)


def draws(images: int, distances: np.ndarray, simulations: int) -> Iterator[np.ndarray]:
    """Yield data sets, (AT_ONCE, images, features), whose classes, 0 and 1, come in turn."""
    chance, labels = np.random.default_rng([images, len(distances)]), np.arange(images) % 2
    for _ in range(simulations // AT_ONCE):
        yield chance.normal(size=(AT_ONCE, images, len(distances))) + distances * (labels[:, None] - 0.5)


def judged(data: np.ndarray, distances: np.ndarray, *, one_feature: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return right or not of each image (sets, N), by a model of the other folds, and true accuracies (sets, k)."""
    right, true = np.empty(data.shape[:2], bool), np.empty((len(data), FOLDS))
    folds, labels = folds_of(data.shape[1]), np.arange(data.shape[1]) % 2
    for fold in range(FOLDS):
        here = folds == fold
        zero, one = (data[:, ~here & (labels == label)].mean(axis=1) for label in (0, 1))  # (sets, features)
        weights, middle = one - zero, (one + zero) / 2
        if one_feature:
            weights = np.where(np.abs(weights) == np.abs(weights).max(axis=1, keepdims=True), weights, 0)
        scores = np.einsum("snf,sf->sn", data[:, here] - middle[:, None], weights)
        right[:, here] = (scores > 0) == labels[here]
        length = np.linalg.norm(weights, axis=1)
        offset = (weights * middle).sum(axis=1)
        along = weights @ distances / 2
        true[:, fold] = (norm.cdf((along - offset) / length) + norm.cdf((along + offset) / length)) / 2
    return right, true


def folds_of(images: int) -> np.ndarray:
    """Return each image's fold (images,); each has as many of both classes, or two more."""
    return np.arange(images) // 2 % FOLDS


def coverage(recipe: Recipe, images: int, simulations: int) -> list[float]:
    """Return the mean accuracy, how often four intervals hold it, and the mean width of the last.

    They are that of the images alone, Student's, the corrected one and the one in use.
    """
    folds, ratio, distances = folds_of(images), 1 / (FOLDS - 1), recipe.distances(recipe.features)
    intervals, true = [], []
    for data in draws(images, distances, simulations):
        right, own = judged(data, distances, one_feature=recipe.one_feature)
        true.append(own)
        for each in right:
            of_images = share_of_images(each, None, CONFIDENCE)
            halves = [half_width(means(each, folds), shared, CONFIDENCE) for shared in (0.0, ratio)]
            used = accuracy_over_folds(each, folds, ratio, CONFIDENCE)
            ends = [(each.mean() - half, each.mean() + half) for half in halves]
            intervals.append([of_images[2:], *ends, used[2:]])
    mean, ends = np.concatenate(true).mean(), np.array(intervals)  # (simulations, 4, 2)
    held = ((ends[..., 0] <= mean) & (mean <= ends[..., 1])).mean(axis=0)
    return [mean, *held, (ends[:, 3, 1] - ends[:, 3, 0]).mean()]


def rejections(recipe: Recipe, more: int, images: int, simulations: int) -> list[float]:
    """Return how often McNemar's test of the images, Student's of the folds, the corrected one and that in use reject.

    The second recipe sees so many features more than the first, that given, and all that both see as well.
    """
    folds, ratio, count = folds_of(images), 1 / (FOLDS - 1), np.zeros(4)
    common = recipe.features // 3
    distances = recipe.distances(2 * recipe.features - common + more)
    a_sees, b_sees = slice(recipe.features), slice(recipe.features - common, None)
    for data in draws(images, distances, simulations):
        of_a, of_b = (
            judged(data[..., seen], distances[seen], one_feature=recipe.one_feature)[0] for seen in (a_sees, b_sees)
        )
        for a, b in zip(of_a, of_b, strict=True):
            differences = means(b.astype(float) - a, folds)
            changed = mcnemar(int((a & ~b).sum()), int((~a & b).sum()))
            student, corrected = (p_over_folds(differences, shared) for shared in (0.0, ratio))
            used = accuracy_difference_over_folds(a, b, folds, ratio, CONFIDENCE)[1]
            count += np.array([changed, student, corrected, used]) < LEVEL
    return (count / (simulations // AT_ONCE * AT_ONCE)).tolist()


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    print("| recipe | images | accuracy | of the images alone | Student's | corrected | in use | its width |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for recipe in RECIPES:
        for images in SIZES:
            row = " | ".join(f"{own:.3f}" for own in coverage(recipe, images, simulations))
            print(f"| {recipe.name} | {images} | {row} |", flush=True)
    print("\n| recipes | images | McNemar's | Student's | corrected | in use |")
    print("| --- | --- | --- | --- | --- | --- |")
    for recipe, more in ((RECIPES[0], 0), (RECIPES[-1], 0), (RECIPES[0], 12)):
        for images in SIZES:
            row = " | ".join(f"{own:.3f}" for own in rejections(recipe, more, images, simulations))
            print(f"| {recipe.name}, {'one is better' if more else 'alike'} | {images} | {row} |", flush=True)


if __name__ == "__main__":
    main()
