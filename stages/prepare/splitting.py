"""Choose a split for each image that does not come with one: by content, stratified, without leaks.

What belongs together stays together: copies of a file, near copies, and images of one group (a patient, a
camera). Of each class the clusters stand in the order of a hash of their content, and the first go to
test, the next to val; so the choice is the same on every machine, and an added image moves few others.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Mapping

import numpy as np

from plumbline.run.errors import UserError
from stages.prepare.duplicates import clustered
from stages.prepare.reading import UsableImage


def choose_splits(images: list[UsableImage], clusters: np.ndarray, shares: Mapping[str, float], seed: int) -> None:
    """Set the split of each image: `shares` is what each part but train gets of every class, in [0, 1).

    `clusters` (N,) has the same number for images that must stay together. Raises UserError if a class has
    too few clusters for every part to have one.
    """
    strata = defaultdict(list)
    for cluster in clustered(images, clusters):
        strata[most_common_class(cluster)].append(cluster)
    for class_name, stratum in sorted(strata.items()):
        choose_in_class(class_name, stratum, shares, seed)
    refuse_missing_classes(images, shares)


def most_common_class(cluster: list[UsableImage]) -> str:
    """Return the class of most of a cluster's images; of equally many, the first by name."""
    counts = Counter(image.candidate.class_name for image in cluster)
    return min(counts, key=lambda name: (-counts[name], name))


def choose_in_class(class_name: str, stratum: list[list[UsableImage]], shares: Mapping[str, float], seed: int) -> None:
    """Choose the splits of one class's clusters."""
    parts = len(shares) + 1
    if len(stratum) < parts:
        raise UserError(
            f"the class {class_name!r} has {len(stratum)} image(s) that are independent of each other, too few for "
            f"{parts} splits: add images, or set data.test_share to 0"
        )
    left = sorted(stratum, key=lambda cluster: place(cluster, seed))
    total = sum(len(cluster) for cluster in stratum)
    for done, (split, share) in enumerate(shares.items(), start=1):
        wanted, got = max(1, round(share * total)), 0
        while got < wanted and len(left) > parts - done:
            cluster = left.pop(0)
            got += len(cluster)
            for image in cluster:
                image.split = split
    for cluster in left:
        for image in cluster:
            image.split = "train"


def place(cluster: list[UsableImage], seed: int) -> str:
    """Return a cluster's place in the order: a hash of the seed and the smallest hash of its files."""
    smallest = min(image.facts.sha256 for image in cluster)
    return hashlib.sha256(f"{seed} {smallest}".encode()).hexdigest()


def refuse_missing_classes(images: list[UsableImage], shares: Mapping[str, float]) -> None:
    """Refuse splits that lack a class, as they may where clusters hold several classes."""
    classes = {image.candidate.class_name for image in images}
    for split in ("train", *shares):
        missing = classes - {image.candidate.class_name for image in images if image.split == split}
        if missing:
            raise UserError(
                f"{split} would have no image of the class {min(missing)!r}: its images are tied to others by "
                "data.groups or as near copies; add images, or loosen data.groups"
            )
