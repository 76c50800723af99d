"""What images that belong together do to intervals, tests, splits and doubts of labels, by simulation.

    python -m benchmarks.dependent_images [SIMULATIONS]

How far the intervals of an accuracy and McNemar's test hold for images in groups, and those that allow for groups; how
far a split is from its share where one group is large; how often a wrong label is doubted that a near copy has too.
Prints the tables of docs/statistics.md.
"""

import sys

import numpy as np

from plumbline.results.intervals import share_of_images, share_with_interval, wilson
from stages.evaluate.label_doubts import out_of_fold_probabilities
from stages.prepare.splitting import taken_in_order
from tools.compare.statistics import LEVEL, mcnemar, mcnemar_of_clusters

DEFAULT = 2000  # simulations
CONFIDENCE = 0.95
GROUPS = [("30 of 10", [10] * 30, rho, accuracy) for rho in (0.0, 0.1, 1 / 3) for accuracy in (0.9, 0.98)]
GROUPS += [("100 of 3", [3] * 100, 1 / 3, 0.9), ("10 of 30", [30] * 10, 1 / 3, 0.9)]
GROUPS += [("60 of 1, 2, 5 and 20", [1, 1, 1, 2, 5, 20] * 10, 1 / 3, 0.9)]


def in_groups(sizes: list[int], correlation: float, accuracy: float, simulations: int) -> tuple[float, ...]:
    """Return the coverage of the accuracy's intervals, and how often the tests of two equal models reject.

    Wilson's interval, Clopper and Pearson's, and that for groups; McNemar's test, and that for groups. `sizes` are the
    groups' numbers of images. The images of a group share a chance, which is beta-distributed: their results have this
    correlation.
    """
    chance, found = np.random.default_rng([len(sizes), max(sizes)]), np.zeros(5)
    clusters = np.repeat(np.arange(len(sizes)), sizes)

    def shared(mean: float) -> np.ndarray:
        if not correlation:
            return np.array(mean)
        total = 1 / correlation - 1
        return chance.beta(mean * total, (1 - mean) * total, size=len(sizes))[clusters]

    for _ in range(simulations):
        right = chance.random(len(clusters)) < shared(accuracy)
        differs, first = chance.random(len(clusters)) < 0.2, chance.random(len(clusters)) < shared(0.5)
        intervals = [interval(int(right.sum()), len(right), CONFIDENCE) for interval in (wilson, share_with_interval)]
        intervals.append(share_of_images(right, clusters, CONFIDENCE))
        changes = differs * np.where(first, 1, -1)
        p_values = mcnemar(int((changes > 0).sum()), int((changes < 0).sum())), mcnemar_of_clusters(changes, clusters)
        found += [*(own.low <= accuracy <= own.high for own in intervals), *(p < LEVEL for p in p_values)]
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
