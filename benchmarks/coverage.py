"""How often the intervals of `evaluate` hold the true value, by simulation.

    python -m benchmarks.coverage [EVALUATIONS [RESAMPLES]]

Two classes of equal size, whose logit differences are normal; their distance gives the accuracy. Each evaluation draws
new images, measures them as `evaluate` does, and asks whether the interval at 95 % holds the value that 4,000,000
images give. For accuracy the exact coverage is the binomial sum over all results, of Clopper and Pearson's interval
and of two that were not taken, and its least value over all accuracies from 1/2 to 1 - 1/(10 n). The same of the
differences that `tools.compare` shows, between this model and one with three quarters of its mistakes, whose scores
go with the first one's (correlation 0.8); and how often its McNemar's test rejects at 5 % where two models do not
differ. Prints the tables of benchmarks/README.md.
"""

import sys
from collections.abc import Callable

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import binom, norm

from plumbline.results.class_scores import class_measures
from plumbline.results.intervals import share_with_interval, wilson
from plumbline.results.measures_file import Measure
from stages.evaluate.measures import loss_measures, ranking_measures, with_intervals
from stages.evaluate.predictions import Predictions
from tools.compare.comparison import METRICS, measures_of
from tools.compare.statistics import difference_with_interval, mcnemar

DEFAULTS = [2000, 200]  # evaluations, resamples
SIZES = (24, 153, 1000)
FEW = 10  # mistakes or hits
ACCURACIES = (0.6, 0.8, 0.9, 0.95, 0.98)
MEASURES = ("balanced_accuracy", "macro_f1", "loss", "brier", "auroc", "average_precision")
FEWER_MISTAKES, CORRELATION = 0.75, 0.8  # of the better model
MANY = 4_000_000
CONFIDENCE, LEVEL = 0.95, 0.05
BOLDNESS = 1.3  # the model's logits are so many times the true ones: its probabilities are not calibrated


def fresh(seed: int, images: int = 0, accuracy: float = 0) -> np.random.Generator:
    """Return the chance of one evaluation."""
    return np.random.default_rng([seed, images, round(1000 * accuracy)])


def simulated(images: int, accuracy: float, chance: np.random.Generator) -> Predictions:
    """Return predictions of a model with this accuracy on new images, as many of each class."""
    return predictions_of(chance.normal(size=images), accuracy)


def predictions_of(noise: np.ndarray, accuracy: float) -> Predictions:
    """Return predictions of a model with this accuracy, whose scores are noise (N,) about the classes' means."""
    labels = np.arange(len(noise)) * 2 // len(noise)
    distance = 2 * norm.ppf(accuracy)
    score = noise + distance * (labels - 0.5)
    logits = np.stack([np.zeros(len(noise)), BOLDNESS * distance * score], axis=1)
    return Predictions(labels, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def simulated_pair(images: int, accuracy: float, chance: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions on the same new images of a model with this accuracy, and of a better one."""
    common, own = chance.normal(size=(2, images))
    better = CORRELATION * common + (1 - CORRELATION**2) ** 0.5 * own
    return tuple(
        pd.DataFrame(
            {
                "actual": made.labels,
                "predicted": made.predicted,
                "correct": made.predicted == made.labels,
                "loss": made.losses,
                "squared_error": made.squared_errors,
            }
        )
        for made in (predictions_of(common, accuracy), predictions_of(better, 1 - FEWER_MISTAKES * (1 - accuracy)))
    )


def measured(predictions: Predictions, resamples: int, seed: int) -> dict[str, Measure]:
    """Return the measures with their intervals."""
    found = {}
    for measures in (
        class_measures(predictions.labels, predictions.predicted, predictions.classes),
        loss_measures(predictions, predictions),
        ranking_measures(predictions, 1),
    ):
        found |= with_intervals(measures, predictions, resamples, CONFIDENCE, seed)
    return found


def true_values(accuracy: float) -> dict[str, float]:
    """Return what very many images give."""
    predictions, everyone = simulated(MANY, accuracy, fresh(0)), np.ones(MANY)
    return (
        class_measures(predictions.labels, predictions.predicted, 2)(everyone)
        | loss_measures(predictions, predictions)(everyone)
        | ranking_measures(predictions, 1)(everyone)
    )


def coverage(images: int, accuracy: float, evaluations: int, resamples: int) -> dict[str, float]:
    """Return the share of evaluations whose interval holds the true value, for each measure."""
    wanted = true_values(accuracy)
    held = dict.fromkeys(MEASURES, 0)
    for seed in range(evaluations):
        found = measured(simulated(images, accuracy, fresh(seed, images, accuracy)), resamples, seed)
        for name in MEASURES:
            held[name] += found[name].low <= wanted[name] <= found[name].high
    return {name: count / evaluations for name, count in held.items()}


def coverage_of_differences(images: int, accuracy: float, evaluations: int, resamples: int) -> dict[str, float]:
    """Return the share of comparisons whose interval holds the true difference, for each measure."""
    ours, theirs = (measures_of(own, list(METRICS))(np.ones(MANY)) for own in simulated_pair(MANY, accuracy, fresh(0)))
    held = dict.fromkeys(METRICS, 0)
    for seed in range(evaluations):
        a, b = simulated_pair(images, accuracy, fresh(seed, images, accuracy))
        measures = measures_of(a, list(METRICS)), measures_of(b, list(METRICS))
        found = difference_with_interval(*measures, a["actual"].to_numpy(), resamples, CONFIDENCE, seed)
        for name, difference in found.items():
            held[name] += difference.low <= theirs[name] - ours[name] <= difference.high
    return {name: count / evaluations for name, count in held.items()}


def by_mistakes(hits: int, images: int, confidence: float) -> Measure:
    """Return Clopper and Pearson's interval with fewer than ten mistakes or ten hits, else Wilson's."""
    return (share_with_interval if min(hits, images - hits) < FEW else wilson)(hits, images, confidence)


SHARES = {"Clopper and Pearson's": share_with_interval, "Wilson's": wilson, "the first below 10 mistakes": by_mistakes}


def coverage_of_share(interval: Callable[..., Measure], images: int) -> tuple[list[float], float, float]:
    """Return the exact coverage at each of ACCURACIES, the least at any accuracy, and where it is least."""
    hits = np.arange(images + 1)
    found = [interval(int(k), images, CONFIDENCE) for k in hits]
    low, high = (np.array([getattr(own, end) for own in found]) for end in ("low", "high"))

    def at(accuracy: float) -> float:
        return float(binom.pmf(hits, images, accuracy)[(low <= accuracy) & (accuracy <= high)].sum())

    beyond = np.concatenate([low - 1e-9, high + 1e-9, np.linspace(0.5, 1, 2000)])  # it falls where an interval ends
    worst = min(beyond[(beyond >= 0.5) & (beyond <= 1 - 1 / (10 * images))], key=at)
    return [at(accuracy) for accuracy in ACCURACIES], at(worst), float(worst)


def mcnemar_rejections(images: int, accuracy: float, evaluations: int) -> tuple[float, float]:
    """Return how often two models of one accuracy, whose mistakes are independent, differ at 5 %: simulated and exact.

    The exact share is the sum, over how many images one model alone gets right, of the binomial tail.
    """
    smallest = [0]  # for each number of changed images, the smaller side that is no longer rejected
    for total in range(1, images + 1):
        kept = smallest[-1]
        while mcnemar(kept, total - kept) <= LEVEL:
            kept += 1
        smallest.append(kept)
    right = np.random.default_rng([images, round(1000 * accuracy)]).random((2, evaluations, images)) < accuracy
    only_a, only_b = ((ours & ~theirs).sum(axis=1) for ours, theirs in (right, right[::-1]))
    rejected = np.minimum(only_a, only_b) < np.array(smallest)[only_a + only_b]
    totals = np.arange(images + 1)
    exact = binom.pmf(totals, images, 2 * accuracy * (1 - accuracy)) @ (
        2 * binom.cdf(np.array(smallest) - 1, totals, 0.5)
    )
    return float(rejected.mean()), float(exact)


def main() -> None:
    given = [int(value) for value in sys.argv[1:]]
    evaluations, resamples = given + DEFAULTS[len(given) :]
    cells = [(images, accuracy) for images in SIZES for accuracy in ACCURACIES]
    print(f"| interval | images | {' | '.join(map(str, ACCURACIES))} | least | at |")
    print(f"|{' --- |' * (4 + len(ACCURACIES))}")
    for name, interval in SHARES.items():
        for images in SIZES:
            exact, least, worst = coverage_of_share(interval, images)
            print(f"| {name} | {images} | {' | '.join(f'{own:.3f}' for own in exact)} | {least:.3f} | {worst:.5f} |")
    print("\n| images | accuracy of both | McNemar rejects, simulated | exact |\n| --- | --- | --- | --- |")
    for images, accuracy in cells:
        simulation, exact = mcnemar_rejections(images, accuracy, evaluations)
        print(f"| {images} | {accuracy} | {simulation:.3f} | {exact:.3f} |", flush=True)
    for title, of_what, names in (
        ("accuracy", coverage, MEASURES),
        ("accuracy of the first model", coverage_of_differences, METRICS),
    ):
        found = Parallel(n_jobs=-1)(delayed(of_what)(*cell, evaluations, resamples) for cell in cells)
        print(f"\n| images | {title} | {' | '.join(names)} |\n|{' --- |' * (2 + len(names))}")
        for (images, accuracy), own in zip(cells, found, strict=True):
            print(f"| {images} | {accuracy} | {' | '.join(f'{own[name]:.3f}' for name in names)} |", flush=True)


if __name__ == "__main__":
    main()
