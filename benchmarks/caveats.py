"""What the caveats of `evaluate` and `sweep` warn of, by simulation.

    python -m benchmarks.caveats [SIMULATIONS]

The interval of balanced accuracy where one class is small, and how often the warning speaks; how often a model whose
probabilities are true is above the calibration error that is expected of it, and above its upper end; how the bootstrap
covers where it draws within classes and from all images; how far the accuracy at a threshold that was chosen on val is
too high on val; how often the interval of the best of several equal models holds its accuracy. Prints the
tables of docs/statistics.md.
"""

import sys

import numpy as np

from plumbline.params.evaluate import Threshold
from plumbline.results.class_scores import class_measures
from plumbline.results.intervals import share_with_interval
from stages.evaluate.calibration import calibration_error, error_if_calibrated
from stages.evaluate.caveats import FEW, mistakes_behind_class_means
from stages.evaluate.measures import loss_measures, ranking_measures, with_intervals
from stages.evaluate.predictions import Predictions
from stages.evaluate.threshold import choose_threshold, cross_fitted_measures, measures_at

DEFAULT = 2000  # simulations
CONFIDENCE, RESAMPLES, BINS = 0.95, 200, 15
SAMPLINGS = (("images", 0.2, 300), ("classes", 0.2, 300), ("images", 0.5, 153), ("classes", 0.5, 153))


def from_logits(labels: np.ndarray, logits: np.ndarray) -> Predictions:
    """Return predictions for labels (N,) and logits (N, classes)."""
    return Predictions(labels, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def small_class(sizes: tuple[int, int], recall: float, simulations: int) -> tuple[float, float, float]:
    """Return the coverage of balanced accuracy's interval, and how often few mistakes were and are warned of."""
    labels, held, before, after = np.repeat([0, 1], sizes), 0, 0, 0
    for seed in range(simulations):
        right = np.random.default_rng([seed, *sizes]).random(len(labels)) < recall
        predictions = from_logits(labels, np.eye(2)[np.where(right, labels, 1 - labels)])
        measures = class_measures(labels, predictions.predicted, 2)
        found = with_intervals(measures, predictions, RESAMPLES, CONFIDENCE, seed)["balanced_accuracy"]
        few = int((~right).sum()) < FEW
        held += found.low <= recall <= found.high
        before += few
        after += few or mistakes_behind_class_means(predictions) < FEW
    return held / simulations, before / simulations, after / simulations


def true_model(images: int, temperature: float, simulations: int) -> tuple[float, ...]:
    """Return, of a true model, the mean error, the former and the present reference, and how often it is above each.

    The former reference is the mean for the model after the temperature, which makes it untrue; the present one is its
    own, of which the mean and the upper end are counted.
    """
    rows = []
    for seed in range(simulations):
        chance = np.random.default_rng([seed, images])
        logits = chance.normal(size=(images, 3))
        true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        labels = (chance.random((images, 1)) > true.cumsum(axis=1)).sum(axis=1)
        error = calibration_error(from_logits(labels, logits), BINS)
        former = error_if_calibrated(from_logits(labels, logits / temperature), BINS, CONFIDENCE, seed).value
        own = error_if_calibrated(from_logits(labels, logits), BINS, CONFIDENCE, seed)
        rows.append((error, former, own.value, error > former, error > own.value, error > own.high))
    return tuple(np.mean(rows, axis=0).tolist())


def by_sampling(drawn: str, prevalence: float, images: int, simulations: int) -> dict[str, list[float]]:
    """Return the coverage by measure, with samples drawn within classes and from all images.

    `drawn` is how the images came: `images` at random, so that class counts vary, or `classes`, with fixed counts. The
    second class is harder: its accuracy is 0.69, the other's 0.98.
    """

    def images_of(labels: np.ndarray, chance: np.random.Generator) -> Predictions:
        scores = chance.normal(size=len(labels)) + np.where(labels == 1, 0.5, -2.0)
        return from_logits(labels, np.stack([np.zeros(len(labels)), 2 * scores], axis=1))

    def measured(own: Predictions) -> list:
        return [loss_measures(own, own), class_measures(own.labels, own.predicted, 2), ranking_measures(own, 1)]

    names = ("loss", "balanced_accuracy", "auroc")
    many = (np.random.default_rng(0).random(1_000_000) < prevalence).astype(int)
    true, held = {}, {name: np.zeros(2) for name in names}
    for measures in measured(images_of(many, np.random.default_rng(1))):
        true |= measures(np.ones(len(many)))
    for seed in range(simulations):
        chance = np.random.default_rng([seed, images, round(100 * prevalence)])
        fixed = np.arange(images) < round(prevalence * images)
        own = images_of((chance.random(images) < prevalence if drawn == "images" else fixed).astype(int), chance)
        for i, sampling in enumerate(("classes", "images")):
            for measures in measured(own):
                for name, found in with_intervals(measures, own, RESAMPLES, CONFIDENCE, seed, sampling).items():
                    if name in held:
                        held[name][i] += found.low <= true[name] <= found.high
    return {name: (own / simulations).tolist() for name, own in held.items()}


def chosen_threshold(images: int, wish: Threshold, simulations: int) -> tuple[float, ...]:
    """Return the accuracy at val's threshold on val, cross-fitted, and on new images; how often new recall is below.

    The true recall is that of 20,000 new images.
    """
    rows = []
    for seed in range(simulations):
        chance = np.random.default_rng([seed, images])
        val, new = (noisy(size, chance) for size in (images, 20_000))
        threshold = choose_threshold(val, 1, wish)
        if threshold is None or (crossed := cross_fitted_measures(val, 1, wish, 5, CONFIDENCE, seed)) == {}:
            continue
        fitted, true = (measures_at(threshold, own, 1, wish, CONFIDENCE) for own in (val, new))
        accuracies = (own["at_threshold_accuracy"].value for own in (fitted, crossed, true))
        rows.append((*accuracies, true["at_threshold_recall"].value < wish.minimum_recall))
    return tuple(np.mean(rows, axis=0).tolist())


def noisy(images: int, chance: np.random.Generator) -> Predictions:
    """Return predictions of two classes whose logit difference is normal, with 2 between the classes."""
    labels = chance.integers(0, 2, images)
    scores = chance.normal(size=images) + 2.0 * labels - 1.0
    return from_logits(labels, np.stack([np.zeros(images), 2 * scores], axis=1))


def best_of_equals(models: int, images: int, accuracy: float, simulations: int) -> tuple[float, float]:
    """Return how often the interval of the best of equal models holds its accuracy: as it is, and for their number."""
    chance, held = np.random.default_rng([models, images]), np.zeros(2)
    for hits in chance.binomial(images, accuracy, size=(simulations, models)).max(axis=1):
        levels = CONFIDENCE, 1 - (1 - CONFIDENCE) / models
        intervals = [share_with_interval(int(hits), images, level) for level in levels]
        held += [own.low <= accuracy <= own.high for own in intervals]
    return tuple((held / simulations).tolist())


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    print("| images of the classes | recall | coverage | warned before | warned |\n| --- | --- | --- | --- | --- |")
    for sizes, recall in (((200, 8), 0.9), ((200, 30), 0.9), ((200, 200), 0.9), ((500, 100), 0.8)):
        shares = " | ".join(f"{own:.3f}" for own in small_class(sizes, recall, simulations))
        print(f"| {sizes[0]} and {sizes[1]} | {recall} | {shares} |", flush=True)
    print("\n| images | temperature | error | former | its own | above the former | above its own | above its end |")
    print(f"|{' --- |' * 8}")
    for images, temperature in ((100, 0.3), (300, 0.3), (300, 1.0)):
        shares = " | ".join(f"{own:.3f}" for own in true_model(images, temperature, simulations))
        print(f"| {images} | {temperature} | {shares} |", flush=True)
    print("\n| images came by | prevalence | images | measure | drawn within classes | drawn from all |")
    print(f"|{' --- |' * 6}")
    for drawn, prevalence, images in SAMPLINGS:
        for name, own in by_sampling(drawn, prevalence, images, simulations).items():
            print(f"| {drawn} | {prevalence} | {images} | {name} | {own[0]:.3f} | {own[1]:.3f} |", flush=True)
    print("\n| aim | images | fitted, on val | cross-fitted | on new images | new recall is below |")
    print(f"|{' --- |' * 6}")
    for aim, images in (("accuracy", 24), ("accuracy", 153), ("recall", 153)):
        costs = {"false_positive_cost": 1.0, "false_negative_cost": 1.0, "abstaining_cost": 0.1}
        wish = Threshold(aim=aim, minimum_recall=0.95, promised=0.9, **costs)
        shares = " | ".join(f"{own:.3f}" for own in chosen_threshold(images, wish, simulations))
        print(f"| {aim} | {images} | {shares} |", flush=True)
    print("\n| equal models | images | accuracy | as of one | corrected |\n| --- | --- | --- | --- | --- |")
    for models, images, accuracy in ((4, 24, 0.9), (16, 24, 0.9), (4, 273, 0.95), (16, 273, 0.95)):
        shares = " | ".join(f"{own:.3f}" for own in best_of_equals(models, images, accuracy, simulations))
        print(f"| {models} | {images} | {accuracy} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
