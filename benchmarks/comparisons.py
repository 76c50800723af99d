"""How far the tests of `tools.compare` hold, by simulation: the luck of the training, and few discordant images.

    python -m benchmarks.comparisons [SIMULATIONS]

First, two recipes of one expected accuracy, and two of which one is better. Whether a model is right on an image
depends on the image, the recipe on that image, the run, and the run on that image. McNemar's test is given one run of
each, the test over seeds several; the table has the share of simulations in which each rejects at 5 %, which is its
size where the recipes are alike and its power where they are not. Then how often the interval over seeds holds the
true difference, where most images are easy too; and the coverage of 95 % intervals of a difference in accuracy of two
models: the percentile bootstrap's and Newcombe's. Prints the tables of docs/statistics.md.
"""

import math
import sys

import numpy as np
from scipy.stats import norm, ttest_ind

from plumbline.results.intervals import difference_of_shares
from tools.compare.statistics import LEVEL, difference_over_seeds, mcnemar

DEFAULT = 2000  # simulations
SIZES, RUNS = (24, 273), (2, 3, 5, 10)
EASE, BETTER = 1.9, 0.5  # of an image, and of the better recipe, on the scale of the deviations
DEVIATIONS = (1.5, 0.5, 0.25, 1.0)  # between images, recipes on an image, runs, runs on an image
EASES = ((1.9, 0.5), (3.5, 1.5), (4.5, 1.5))  # and how much better the second recipe is
SHARES = ((0.01, 0.01), (0.02, 0.005), (0.05, 0.02), (0.1, 0.1))  # right in the first alone, in the second alone
CONFIDENCE, RESAMPLES = 0.95, 1000


def runs_of_two(
    runs: int, images: int, gain: float, chance: np.random.Generator, ease: float = EASE
) -> list[np.ndarray]:
    """Return right or not, (runs, images), of two recipes on the same images.

    With the usual ease the accuracies are 0.84 and, of the better one, 0.88.
    """
    of_image, of_recipe, of_run, of_run_on_image = DEVIATIONS
    common, found = ease + of_image * chance.normal(size=images), []
    for own in (0.0, gain):
        recipe = common + own + of_recipe * chance.normal(size=images)
        scores = recipe + of_run * chance.normal(size=(runs, 1)) + of_run_on_image * chance.normal(size=(runs, images))
        found.append((scores > 0).astype(float))
    return found


def true_accuracy(ease: float) -> float:
    """Return the expected accuracy of a recipe."""
    return float(norm.cdf(ease / math.hypot(*DEVIATIONS)))


def rejections(runs: int, images: int, gain: float, simulations: int) -> list[float]:
    """Return how often McNemar's test of the first runs, Welch's of the runs' accuracies, and the one in use reject."""
    chance, count = np.random.default_rng([runs, images, round(10 * gain)]), np.zeros(3)
    for _ in range(simulations):
        a, b = runs_of_two(runs, images, gain, chance)
        with np.errstate(divide="ignore", invalid="ignore"):
            welch = ttest_ind(a.mean(axis=1), b.mean(axis=1), equal_var=False).pvalue
        first = mcnemar(int((a[0] > b[0]).sum()), int((a[0] < b[0]).sum()))
        count += np.array([first, welch, difference_over_seeds(a, b, CONFIDENCE)[1]]) < LEVEL
    return (count / simulations).tolist()


def coverage_over_seeds(runs: int, images: int, ease: float, gain: float, simulations: int) -> tuple[float, float]:
    """Return how often the interval over seeds holds the true difference, and its mean width."""
    chance, ends = np.random.default_rng([runs, images, round(10 * ease)]), []
    for _ in range(simulations):
        found, _ = difference_over_seeds(*runs_of_two(runs, images, gain, chance, ease), CONFIDENCE)
        ends.append((found.low, found.high))
    (low, high), true = np.transpose(ends), true_accuracy(ease + gain) - true_accuracy(ease)
    return float(((low <= true) & (true <= high)).mean()), float((high - low).mean())


def coverage(images: int, only_a: float, only_b: float, simulations: int) -> list[float]:
    """Return how often the bootstrap's and Newcombe's interval of a difference hold the true one; both wrong: 2 %."""
    chance, count = np.random.default_rng([images, round(1e4 * only_a)]), np.zeros(2)
    shares = np.array([only_a, only_b, 0.02, 0.98 - only_a - only_b])
    for drawn in chance.multinomial(images, shares, size=simulations):
        resampled = chance.multinomial(images, drawn / images, size=RESAMPLES)
        ends = np.quantile((resampled[:, 1] - resampled[:, 0]) / images, [0.025, 0.975])
        before, after = (np.repeat(own, drawn) for own in ([True, False, False, True], [False, True, False, True]))
        newcombe = difference_of_shares(before, after, CONFIDENCE)
        count += [low <= only_b - only_a <= high for low, high in (ends, (newcombe.low, newcombe.high))]
    return (count / simulations).tolist()


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    print("| recipes | images | runs of each | McNemar's, of one run | Welch's, of the runs | over seeds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, gain in (("alike", 0.0), ("one is better", BETTER)):
        for images in SIZES:
            for runs in RUNS:
                shares = " | ".join(f"{own:.3f}" for own in rejections(runs, images, gain, simulations))
                print(f"| {name} | {images} | {runs} | {shares} |", flush=True)
    print("\n| images | runs of each | accuracies | over seeds | its width |\n| --- | --- | --- | --- | --- |")
    for images in SIZES:
        for ease, gain in EASES:
            for runs in RUNS[:3]:
                share, width = coverage_over_seeds(runs, images, ease, gain, simulations)
                accuracies = f"{true_accuracy(ease):.3f} and {true_accuracy(ease + gain):.3f}"
                print(f"| {images} | {runs} | {accuracies} | {share:.3f} | {width:.3f} |", flush=True)
    print(
        "\n| images | right in A alone | right in B alone | bootstrap | Newcombe's |\n| --- | --- | --- | --- | --- |"
    )
    for images in SIZES:
        for only_a, only_b in SHARES:
            shares = " | ".join(f"{own:.3f}" for own in coverage(images, only_a, only_b, simulations))
            print(f"| {images} | {only_a} | {only_b} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
