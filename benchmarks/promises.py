"""How often what is promised of new images holds, by simulation: sets, thresholds, and false alarms.

    python -m benchmarks.promises [DRAWS]

Each draw makes new val images, and asks whether the promise that was made by val holds: of prediction sets on 2,000
new images, of thresholds by the normal distribution, from which the scores are drawn, of the cost of leaving images out
beside Chow's rule, and of the comparison of new images with val by how often it calls images of the same kind
otherwise. It depends on no machine. Prints the tables of docs/statistics.md.
"""

import contextlib
import functools
import io
import sys

import numpy as np
from scipy.special import logit
from scipy.stats import norm

from plumbline.model.prediction_sets import in_set, relative_probabilities, thresholds
from plumbline.model.val_images import DIRECTIONS
from plumbline.params.evaluate import Threshold
from plumbline.run.errors import UserError
from stages.evaluate.abstaining import cheapest_threshold
from stages.evaluate.predictions import Predictions
from stages.evaluate.promised_threshold import KINDS, promised_threshold
from stages.evaluate.threshold import choose_threshold
from tools.predict import drift

DRAWS, NEW = 2000, 2000
SIZES = (24, 153, 1000)
COVERAGE = 0.95
SHARES = np.array([0.6, 0.27, 0.13])  # of the classes
LEVELS = (0.75, 0.9, 0.95)  # what thresholds promise with so many val images
CONFIDENCE = 0.95
COSTS = {"false_positive_cost": 1, "false_negative_cost": 1, "abstaining_cost": 0.1}
REFERENCE = 400_000  # images that stand for all new ones
DISTANCE = 2.5  # between two classes: an accuracy of 0.89
SKILL = np.array([2.5, 2.0, 1.2])  # how far each class's own logit lies above the others, in deviations


def probabilities_and_labels(images: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return probabilities (N, classes) of a model on new images, and labels (N,), by the classes' shares."""
    labels = chance.choice(len(SHARES), images, p=SHARES)
    logits = chance.normal(size=(images, len(SHARES)))
    logits[np.arange(images), labels] += SKILL[labels]
    exponentials = np.exp(2 * logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True), labels


def sets_of_one_draw(val_images: int, chance: np.random.Generator) -> list[float]:
    """Return of new images: the share whose set holds the true class, in all and of each class, the sets' mean size,
    whether each class had a threshold, and the share with a quantile without the correction for finite samples."""
    val, labels = probabilities_and_labels(val_images, chance)
    new, of_new = probabilities_and_labels(NEW, chance)
    relative = relative_probabilities(val, labels)
    found = thresholds(labels, relative, len(SHARES), COVERAGE)
    held = in_set(new, found.least)
    right = held[np.arange(NEW), of_new]
    plain = relative_probabilities(new, of_new) >= np.quantile(relative, 1 - COVERAGE)
    of_classes = [right[of_new == c].mean() for c in range(len(SHARES))]
    return [right.mean(), *of_classes, held.sum(axis=1).mean(), found.each_class, plain.mean()]


def print_sets(draws: int) -> None:
    """Print the simulated shares: those of the classes, from the largest on, apart for draws with one threshold for all
    and with one for each class."""
    print("| val images | thresholds | draws | held | 90 % of draws | in each class | classes in a set | uncorrected |")
    print(f"|{' --- |' * 8}")
    for images in SIZES:
        chance = np.random.default_rng(images)
        found = np.array([sets_of_one_draw(images, chance) for _ in range(draws)])
        each = found[:, -2] == 1
        for kind, chosen in (("one", ~each), ("each class its own", each), ("both", np.full(draws, True))):
            part = found[chosen]
            if len(part) and (kind != "both" or 0 < each.mean() < 1):
                own, *of_classes, size, _, plain = part.mean(axis=0)
                low, high = np.quantile(part[:, 0], [0.05, 0.95])
                errors = part.std(axis=0) / np.sqrt(len(part))
                classes = ", ".join(f"{share:.3f}" for share in of_classes)
                held = f"{own:.4f} (error {errors[0]:.4f}) | {low:.3f} to {high:.3f}"
                classes += f" (errors up to {errors[1:4].max():.4f})"
                print(f"| {images:,} | {kind} | {len(part):,} | {held} | {classes} | {size:.2f} | {plain:.3f} |")


def two_classes(images: int, chance: np.random.Generator) -> Predictions:
    """Return predictions of a true model for two classes, whose scores are normal and DISTANCE apart."""
    labels = chance.integers(0, 2, images)
    score = chance.normal(size=images) + DISTANCE * (labels - 0.5)
    logits = np.stack([np.zeros(images), DISTANCE * score], axis=1)
    return Predictions(labels, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


def on_new_images(threshold: float, aim: str) -> tuple[float, float]:
    """Return what a threshold of the probability has on new images: what the aim names, and the share that it takes."""
    border = logit(min(threshold, 1 - 1e-16)) / DISTANCE
    right, wrong = norm.sf(border - DISTANCE / 2), norm.sf(border + DISTANCE / 2)
    if aim == "promised_accuracy":  # as sure of either class
        border = max(border, 0.0)
        right, wrong = norm.sf(border - DISTANCE / 2), norm.sf(border + DISTANCE / 2)
        return right / (right + wrong), right + wrong
    return (right if aim == "promised_recall" else right / (right + wrong)), (right + wrong) / 2


def print_thresholds(draws: int) -> None:
    """Print how often thresholds fall short of what they promise, and of an aim that promises nothing."""
    print("\n| aim | val images | level | draws with a threshold | fall short, of all | taken | recall falls short |")
    print(f"|{' --- |' * 7}")
    for aim in KINDS:
        for images, level in zip(SIZES, LEVELS, strict=True):
            wish = Threshold(aim=aim, promised=level, minimum_recall=level, **COSTS)
            plain, chance = wish.model_copy(update={"aim": "recall"}), np.random.default_rng(images)
            found, short_of_plain = [], []
            for _ in range(draws):
                val = two_classes(images, chance)
                with contextlib.suppress(UserError), contextlib.redirect_stderr(io.StringIO()):
                    if (threshold := promised_threshold(val, 1, wish, CONFIDENCE)) is not None:
                        found.append(on_new_images(threshold, aim))
                if aim == "promised_recall" and (threshold := choose_threshold(val, 1, plain)) is not None:
                    short_of_plain.append(on_new_images(threshold, aim)[0] < level)
            short = sum(value < level for value, _ in found) / draws
            error = np.sqrt(short * (1 - short) / draws)
            taken = np.mean([share for _, share in found]) if found else np.nan
            others = f"{np.mean(short_of_plain):.3f}" if short_of_plain else ""
            shares = f"{short:.4f} (error {error:.4f}) | {taken:.2f} | {others}"
            print(f"| {aim} | {images:,} | {level} | {len(found):,} | {shares} |")


def print_accuracy_of_three_classes(draws: int) -> None:
    """Print how often the promised accuracy of more than two classes falls short."""
    new, labels = probabilities_and_labels(REFERENCE, np.random.default_rng(0))
    order = np.argsort(-new.max(axis=1))
    surest, right = new.max(axis=1)[order], np.append(0, (new.argmax(axis=1) == labels)[order].cumsum())
    print(f"\naccuracy of three classes: {right[-1] / REFERENCE:.3f}")
    print("| val images | level | draws with a threshold | fall short, of all | taken |")
    print(f"|{' --- |' * 5}")
    for images, level in zip(SIZES, LEVELS, strict=True):
        wish = Threshold(aim="promised_accuracy", promised=level, minimum_recall=level, **COSTS)
        chance, found = np.random.default_rng(images), []
        for _ in range(draws):
            val, of_val = probabilities_and_labels(images, chance)
            with contextlib.redirect_stderr(io.StringIO()):
                threshold = promised_threshold(Predictions(of_val, np.log(val)), 0, wish, CONFIDENCE)
            if threshold is not None:
                found.append(np.searchsorted(-surest, -threshold, "right"))
        taken = np.array(found)
        short = (right[taken] < level * taken).sum() / draws
        error = np.sqrt(short * (1 - short) / draws)
        of_all = f"{short:.4f} (error {error:.4f}) | {taken.mean() / REFERENCE:.2f}"
        print(f"| {images:,} | {level} | {len(found):,} | {of_all} |")


def cost_on_new_images(threshold: float, scale: float) -> tuple[float, float]:
    """Return the cost an image of leaving out two_classes' images below a threshold, and the share that is left out.

    The model's logits are `scale` times those of the true probabilities.
    """
    border = max(logit(min(threshold, 1 - 1e-16)) / (scale * DISTANCE), 0.0)
    right, wrong = norm.sf(border - DISTANCE / 2), norm.sf(border + DISTANCE / 2)
    left_out = 1 - right - wrong
    return wrong + COSTS["abstaining_cost"] * left_out, left_out


def print_costs(draws: int) -> None:
    """Print what it costs to leave images out by val's threshold, by Chow's for these probabilities, and not at all."""
    print("\n| probabilities | val images | none left out | Chow's rule | val's threshold | left out |")
    print(f"|{' --- |' * 6}")
    cost = COSTS["abstaining_cost"]
    for scale, kind in ((1.0, "true"), (3.0, "too sure: logits three times as large")):
        for images in SIZES:
            chance, found = np.random.default_rng(images), []
            for _ in range(draws):
                val = two_classes(images, chance)
                own = val.probabilities.max(axis=1)
                sureness = 1 / (1 + (1 / own - 1) ** scale)
                found.append(cost_on_new_images(cheapest_threshold(sureness, ~val.right, cost), scale))
            (mean, left_out), error = np.mean(found, axis=0), np.std(found, axis=0)[0] / np.sqrt(draws)
            none, chow = cost_on_new_images(0.5, scale)[0], cost_on_new_images(1 - cost, scale)[0]
            print(
                f"| {kind} | {images:,} | {none:.4f} | {chow:.4f} | {mean:.4f} (error {error:.4f}) | {left_out:.2f} |"
            )


def print_alarms(draws: int) -> None:
    """Print how often new images are said not to look like those of val: alike, and with one measure shifted."""
    drift.exact = functools.cache(drift.exact)  # few gaps differ
    print("\n| val images | new images | false alarms | uncorrected | shifted by 0.5 deviations | by 1 |")
    print(f"|{' --- |' * 6}")
    for images in SIZES:
        for new in (20, images):
            chance, alarms = np.random.default_rng([images, new]), []
            for _ in range(draws):
                val, own = (chance.normal(size=(len(drift.ABOUT) + DIRECTIONS, number)) for number in (images, new))
                p_values = [drift.p_value(*pair) for pair in zip(own, val, strict=True)]
                shifted = [drift.p_value(own[0] + by, val[0]) for by in (0.5, 1)]
                corrected = [min(drift.holm(each)) for each in (p_values, *([p, *p_values[1:]] for p in shifted))]
                alarms.append(np.array([corrected[0], min(p_values), *corrected[1:]]) <= drift.LEVEL)
            false, *others = np.mean(alarms, axis=0)
            error = np.sqrt(false * (1 - false) / draws)
            shares = " | ".join(f"{share:.3f}" for share in others)
            print(f"| {images:,} | {new:,} | {false:.4f} (error {error:.4f}) | {shares} |")


def main() -> None:
    (draws,) = map(int, sys.argv[1:] or [DRAWS])
    print_sets(draws)
    print_thresholds(draws)
    print_accuracy_of_three_classes(draws)
    print_costs(draws)
    print_alarms(draws)


if __name__ == "__main__":
    main()
