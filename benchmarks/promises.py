"""How often what is promised of new images holds, by simulation: prediction sets.

    python -m benchmarks.promises [DRAWS]

Each draw makes new val images and 2,000 new ones, and asks whether the promise that was made by val holds on the new
ones. It depends on no machine. Prints the tables of docs/statistics.md.
"""

import sys

import numpy as np

from plumbline.model.prediction_sets import in_set, relative_probabilities, thresholds

DRAWS, NEW = 2000, 2000
SIZES = (24, 153, 1000)
COVERAGE = 0.95
SHARES = np.array([0.6, 0.27, 0.13])  # of the classes
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


def main() -> None:
    (draws,) = map(int, sys.argv[1:] or [DRAWS])
    print_sets(draws)


if __name__ == "__main__":
    main()
