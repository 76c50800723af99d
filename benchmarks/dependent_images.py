"""What images that belong together do to intervals, tests, splits and doubts of labels, by simulation.

    python -m benchmarks.dependent_images [SIMULATIONS]

How far the intervals of an accuracy and McNemar's test hold for images in groups, and those that allow for groups; so
for the calibration error, the change of an exported model and the best of a sweep; how far a split is from its share
where one group is large; how often a wrong label is doubted that a near copy has too.
Prints the tables of docs/statistics.md.
"""

import sys

import numpy as np
from scipy.stats import norm

from plumbline.results.intervals import difference_of_shares, share_of_images, share_with_interval, wilson
from stages.evaluate.calibration import calibration_error, error_if_calibrated
from stages.evaluate.label_doubts import out_of_fold_probabilities
from stages.evaluate.predictions import Predictions
from stages.prepare.splitting import taken_in_order
from tools.compare.statistics import LEVEL, mcnemar, mcnemar_of_clusters

DEFAULT = 2000  # simulations
CONFIDENCE = 0.95
BINS, MODELS = 15, 16  # of the calibration error; in a sweep
ACCURACY = 0.9  # of the models whose change is measured, and of those of the sweep
GROUPS = [("30 of 10", [10] * 30, rho, accuracy) for rho in (0.0, 0.1, 1 / 3) for accuracy in (0.9, 0.98)]
GROUPS += [("100 of 3", [3] * 100, 1 / 3, 0.9), ("10 of 30", [30] * 10, 1 / 3, 0.9)]
GROUPS += [("60 of 1, 2, 5 and 20", [1, 1, 1, 2, 5, 20] * 10, rho, 0.9) for rho in (0.0, 1 / 3)]
GROUPS += [("21 of 1, 2, 4 to 64", [1, 2, 4, 8, 16, 32, 64] * 3, 1 / 3, 0.9)]
GROUPS += [("200 of 1, one of 100", [1] * 200 + [100], 1 / 3, 0.9)]


def in_groups(sizes: list[int], correlation: float, accuracy: float, simulations: int) -> tuple[float, ...]:
    """Return the coverage of the accuracy's intervals, and how often the tests of two equal models reject.

    Wilson's interval, Clopper and Pearson's, and that for groups; McNemar's test, and that for groups. `sizes` are the
    groups' numbers of images. The images of a group share a chance, which is beta-distributed: their results have this
    correlation.
    """
    chance, found = np.random.default_rng([len(sizes), max(sizes)]), np.zeros(5)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(simulations):
        right, first = (correlated(clusters, mean, correlation, chance) for mean in (accuracy, 0.5))
        differs = chance.random(len(clusters)) < 0.2
        intervals = [interval(int(right.sum()), len(right), CONFIDENCE) for interval in (wilson, share_with_interval)]
        intervals.append(share_of_images(right, clusters, CONFIDENCE))
        changes = differs * np.where(first, 1, -1)
        p_values = mcnemar(int((changes > 0).sum()), int((changes < 0).sum())), mcnemar_of_clusters(changes, clusters)
        found += [*(own.low <= accuracy <= own.high for own in intervals), *(p < LEVEL for p in p_values)]
    return tuple((found / simulations).tolist())


def correlated(clusters: np.ndarray, mean: float, correlation: float, chance: np.random.Generator) -> np.ndarray:
    """Return whether each image is right, bool (N,); those of a cluster have this correlation."""
    share = np.array(mean)
    if correlation:
        total = 1 / correlation - 1
        share = chance.beta(mean * total, (1 - mean) * total, size=clusters.max() + 1)[clusters]
    return chance.random(len(clusters)) < share


def calibrated(sizes: list[int], correlation: float, simulations: int) -> tuple[float, ...]:
    """Return how often a true model's calibration error is above the end; as of independent images, and for groups.

    `correlation` is that of the normal variables behind the results, and of the logits, within a group.
    """
    chance, found = np.random.default_rng([len(sizes), max(sizes)]), np.zeros(2)
    clusters = np.repeat(np.arange(len(sizes)), sizes)

    def normal() -> np.ndarray:
        shared, own = chance.normal(size=len(sizes))[clusters], chance.normal(size=len(clusters))
        return np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own

    for seed in range(simulations):
        probabilities = 1 / (1 + np.exp(np.outer(1.5 * abs(normal() + 1), [-1, 1])))
        labels = (norm.cdf(normal()) > probabilities[:, 0]).astype(int)
        for i, own in enumerate((None, clusters)):
            predictions = Predictions(labels, np.log(probabilities), own)
            end = error_if_calibrated(predictions, BINS, CONFIDENCE, seed).high
            found[i] += calibration_error(predictions, BINS) > end
    return tuple((found / simulations).tolist())


def changed(sizes: list[int], correlation: float, simulations: int) -> tuple[float, ...]:
    """Return the coverage of intervals of a change in accuracy, which is 0, and of the accuracy of a sweep's best.

    Each as of independent images, and for groups. An exported model has 0.05 of the right images wrong, and as many of
    the wrong ones right; the models of the sweep are equal.
    """
    chance, found = np.random.default_rng([len(sizes), max(sizes)]), np.zeros(4)
    clusters, accuracy = np.repeat(np.arange(len(sizes)), sizes), ACCURACY
    level = 1 - (1 - CONFIDENCE) / MODELS
    for _ in range(simulations):
        lost, before, gained = (correlated(clusters, mean, correlation, chance) for mean in (0.05, accuracy, 0.45))
        after = np.where(before, ~lost, gained)
        models = [correlated(clusters, accuracy, correlation, chance) for _ in range(MODELS)]
        best = max(models, key=np.sum)
        changes = [difference_of_shares(before, after, CONFIDENCE, own) for own in (None, clusters)]
        shares = [share_of_images(best, own, level) for own in (None, clusters)]
        found[:2] += [own.low <= 0 <= own.high for own in changes]
        found[2:] += [own.low <= accuracy <= own.high for own in shares]
    return tuple((found / simulations).tolist())


def overshoot(large: int, images: int, share: float, simulations: int) -> tuple[float, ...]:
    """Return how often a split takes a group of `large` of a class's images; by the hash's order alone, and now.

    The other images are alone. By the order alone a split took clusters until it had its share.
    """
    sizes, wanted, found = [large] + [1] * (images - large), round(share * images), np.zeros(2)
    for seed in range(simulations):
        order = np.random.default_rng(seed).permutation(len(sizes))
        place = int(np.flatnonzero(order == 0)[0])
        taken = taken_in_order([sizes[i] for i in order], wanted, len(sizes) - 1)
        found += [place < wanted, place in taken]
    return tuple((found / simulations).tolist())


def doubted(images: int, features: int, simulations: int) -> tuple[float, ...]:
    """Return how often a wrong label is doubted: of one image; with a near copy under the same label; in one fold."""
    found = np.zeros(3)
    for seed in range(simulations):
        chance = np.random.default_rng([seed, images])
        labels = np.arange(images) % 2
        own = chance.normal(size=(images, features)) + labels[:, None] * 3 / np.sqrt(features)
        wrong = labels.copy()
        wrong[0] = 1 - wrong[0]
        twice, both = np.concatenate([own, own[:1] + 1e-3]), np.append(wrong, wrong[0])
        clusters = np.append(np.arange(images), 0)
        for i, (values, given, together) in enumerate(
            ((own, wrong, None), (twice, both, None), (twice, both, clusters))
        ):
            probabilities = out_of_fold_probabilities(values, given, together, 5, seed)
            found[i] += probabilities[0].argmax() != given[0]
    return tuple((found / simulations).tolist())


def main() -> None:
    simulations = int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT
    print(
        "| groups | rho | accuracy | Wilson's | Clopper and Pearson's | for groups | McNemar's | for groups | factor |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, sizes, correlation, accuracy in GROUPS:
        shares = " | ".join(f"{own:.3f}" for own in in_groups(sizes, correlation, accuracy, simulations))
        factor = (1 + (sum(size**2 for size in sizes) / sum(sizes) - 1) * correlation) ** 0.5
        print(f"| {name} | {correlation:.2f} | {accuracy} | {shares} | {factor:.2f} |", flush=True)
    print("\n| groups | rho | change | for groups | best of a sweep | for groups |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, sizes, correlation, accuracy in GROUPS:
        if accuracy == ACCURACY:
            shares = " | ".join(f"{own:.3f}" for own in changed(sizes, correlation, simulations))
            print(f"| {name} | {correlation:.2f} | {shares} |", flush=True)
    print("\n| groups | true models above the end | for groups |\n| --- | --- | --- |")
    for name, sizes, correlation, accuracy in GROUPS:
        if (correlation, accuracy) == (1 / 3, ACCURACY):
            shares = " | ".join(f"{own:.3f}" for own in calibrated(sizes, correlation, simulations))
            print(f"| {name} | {shares} |", flush=True)
    print("\n| large group | share | by the order alone | now |\n| --- | --- | --- | --- |")
    for large in (10, 20, 30, 39, 60):
        shares = " | ".join(f"{own:.3f}" for own in overshoot(large, 100, 0.2, simulations))
        print(f"| {large} of 100 | 0.2 | {shares} |", flush=True)
    print("\n| images | alone | with a near copy | in one fold |\n| --- | --- | --- | --- |")
    for images in (60, 200):
        shares = " | ".join(f"{own:.3f}" for own in doubted(images, 64, simulations))
        print(f"| {images} | {shares} |", flush=True)


if __name__ == "__main__":
    main()
