"""Choose a split for each image that does not come with one: by content, stratified by class, without leaks.

Copies of a file, near copies, and images of one group (a patient, a camera) form a cluster, which stays in one split.
In each class the clusters are sorted by a hash of their content: the first go to test, the next to val. So the choice
is the same on every machine, and an added image moves few others.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from plumbline.run.errors import UserError
from stages.prepare.duplicates import clustered
from stages.prepare.parallel_decoding import UsableImage


def choose_splits(
    images: list[UsableImage], clusters: np.ndarray, shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Return the split of each image, by the image's name.

    `clusters` (N,) has the same number for images that must stay together. `shares` is the part of each class, in
    [0, 1), that each split but train gets.
    Raises UserError if a class has too few clusters for every split to have one.
    """
    strata = defaultdict(list)
    for cluster in clustered(images, clusters):
        strata[most_common_class(cluster)].append(cluster)
    chosen = {}
    for class_name, stratum in sorted(strata.items()):
        chosen |= choose_in_class(class_name, stratum, shares, seed)
    refuse_missing_classes(images, chosen, shares)
    return chosen


def most_common_class(cluster: list[UsableImage]) -> str:
    """Return the class of most of a cluster's images; of equally many, the first by name."""
    counts = Counter(image.candidate.class_name for image in cluster)
    return min(counts, key=lambda name: (-counts[name], name))


def choose_in_class(
    class_name: str, stratum: list[list[UsableImage]], shares: Mapping[str, float], seed: int
) -> dict[str, str]:
    """Return the split of each image of one class's clusters, by the image's name."""
    splits = len(shares) + 1
    if len(stratum) < splits:
        raise UserError(
            f"the class {class_name!r} has {len(stratum)} image(s) that are independent of each other, too few for "
            f"{splits} splits: add images, or set data.test_share to 0"
        )
    left = sorted(stratum, key=lambda cluster: hash_of_cluster(cluster, seed))
    total = sum(len(cluster) for cluster in stratum)
    chosen = {}
    for done, (split, share) in enumerate(shares.items(), start=1):
        wanted, got = max(1, round(share * total)), 0
        while got < wanted and len(left) > splits - done:
            cluster = left.pop(0)
            got += len(cluster)
            chosen |= {image.candidate.name: split for image in cluster}
    return chosen | {image.candidate.name: "train" for cluster in left for image in cluster}


def hash_of_cluster(cluster: list[UsableImage], seed: int) -> str:
    """Return a hash of the seed and of the smallest sha256 of the cluster's files."""
    smallest = min(image.facts.sha256 for image in cluster)
    return hashlib.sha256(f"{seed} {smallest}".encode()).hexdigest()


def refuse_missing_classes(images: list[UsableImage], chosen: dict[str, str], shares: Mapping[str, float]) -> None:
    """Raise UserError if a split lacks a class, which is possible where clusters hold several classes."""
    classes = {image.candidate.class_name for image in images}
    for split in ("train", *shares):
        missing = classes - {image.candidate.class_name for image in images if chosen[image.candidate.name] == split}
        if missing:
            raise UserError(
                f"{split} would have no image of the class {min(missing)!r}: its images are tied to others by "
                "data.groups or as near copies; add images, or loosen data.groups"
            )
