"""Choose a split for each image that does not come with one: by content, stratified by class, without leaks.

Copies of a file, near copies, and images of one group (a patient, a camera) form a cluster, which stays in one split.
In each class the clusters are sorted by a hash of their content: the first go to test, the next to val, but for those
too large for the share. So the choice is the same on every machine, and an added image moves few others.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Mapping

import pandas as pd

from plumbline.run.errors import UserError
from stages.prepare.duplicates import clustered, tied
from stages.prepare.parallel_decoding import UsableImage

TOLERANCE = 0.05  # of a class's images, by which a split may have more or fewer than its share without a line


def choose_splits(
    images: list[UsableImage], near: Mapping[str, int], shares: Mapping[str, float], seed: int | str
) -> dict[str, str]:
    """Return the split of each image, by the image's name.

    `near` has the same number for images that are near copies, by name. `shares` is the part of each class, in [0, 1),
    that each split but train gets.
    Raises UserError if a class has too few clusters for every split to have one.
    """
    chosen = {}
    for class_name, stratum in strata_of(images, near).items():
        if len(stratum) < len(shares) + 1:
            without_test = ", or set data.test_share to 0" if "test" in shares and len(stratum) == len(shares) else ""
            raise UserError(
                f"the class {class_name!r} has {len(stratum)} image(s) that are independent of each other, too few for "
                f"{len(shares) + 1} splits: {why_and_what_to_do(stratum, near, len(shares) + 1, without_test)}"
            )
        chosen |= choose_in_class(stratum, shares, seed)
    refuse_missing_classes(images, chosen, ["train", *shares])
    return chosen


def strata_of(images: list[UsableImage], near: Mapping[str, int]) -> dict[str, list[list[UsableImage]]]:
    """Return the clusters of each class, to which the most of their images belong, by the class's name, sorted."""
    strata = defaultdict(list)
    for cluster in clustered(images, tied(images, near)):
        strata[most_common_class(cluster)].append(cluster)
    return dict(sorted(strata.items()))


def why_and_what_to_do(
    stratum: list[list[UsableImage]], near: Mapping[str, int], parts: int, fewer: str, *, by_hand: bool = True
) -> str:
    """Return why a class has fewer clusters than parts, and what helps: `fewer` of these, or splits made by hand."""
    images = [image for cluster in stratum for image in cluster]
    files = len({image.facts.sha256 for image in images})
    pictures = len({near[image.candidate.name] for image in images})
    grouped = any(image.candidate.group for image in images)
    if files < parts:
        copies = f"its {len(images)} images are copies of {files} file(s): " if files < len(images) else ""
        return f"{copies}add images{fewer}"
    if pictures < parts:
        kept = "" if grouped else ", with data.groups for what must stay together, such as a day or a video"
        sort = "; or sort them into train/, val/ and test/ yourself" if by_hand else ""
        return (
            f"its {len(images)} images are near copies of each other, as from a fixed camera, a video or a microscope "
            f"series: set data.near_distance to null{kept}{sort}{fewer}"
        )
    if grouped:
        return f"data.groups ties its {len(images)} images: add images of other groups, or loosen it{fewer}"
    return f"its {len(images)} images are tied to each other or to other classes as near copies: add images{fewer}"


def most_common_class(cluster: list[UsableImage]) -> str:
    """Return the class of most of a cluster's images; of equally many, the first by name."""
    counts = Counter(image.candidate.class_name for image in cluster)
    return min(counts, key=lambda name: (-counts[name], name))


def choose_in_class(stratum: list[list[UsableImage]], shares: Mapping[str, float], seed: int | str) -> dict[str, str]:
    """Return the split of each image of one class's clusters, by the image's name."""
    splits = len(shares) + 1
    left = sorted(stratum, key=lambda cluster: hash_of_cluster(cluster, seed))
    total = sum(len(cluster) for cluster in stratum)
    chosen = {}
    for done, (split, share) in enumerate(shares.items(), start=1):
        sizes, most = [len(cluster) for cluster in left], len(left) - (splits - done)
        taken = taken_in_order(sizes, max(1, round(share * total)), most)
        chosen |= {image.candidate.name: split for i in taken for image in left[i]}
        left = [cluster for i, cluster in enumerate(left) if i not in taken]
    return chosen | {image.candidate.name: "train" for cluster in left for image in cluster}


def taken_in_order(sizes: list[int], wanted: int, most: int) -> set[int]:
    """Return the positions of at most `most` clusters, the first whose sizes add up to `wanted` images.

    One is passed over that would overshoot by more than is still missing. If all would, the smallest is taken.
    """
    taken, missing = set(), wanted
    for i, size in enumerate(sizes):
        if missing <= 0 or len(taken) == most:
            break
        if size - missing <= missing:
            taken.add(i)
            missing -= size
    return taken or {sizes.index(min(sizes))}


def shares_table(
    splits: Mapping[str, list[UsableImage]], shares: Mapping[str, float], chosen: Mapping[str, str]
) -> pd.DataFrame:
    """Return each class's images in each split and their share of the class, and for chosen splits the one wanted.

    `chosen` has the names of the images whose split was chosen: the share of a chosen split is one of these.
    """
    classes = [image.candidate.class_name for images in splits.values() for image in images]
    to_choose = [
        image.candidate.class_name for images in splits.values() for image in images if image.candidate.name in chosen
    ]
    counts = Counter((image.candidate.class_name, split) for split, images in splits.items() for image in images)
    totals, chosen_totals = Counter(classes), Counter(to_choose)
    return pd.DataFrame(
        [
            (
                name,
                split,
                images,
                images / (chosen_totals if split in shares else totals)[name],
                shares.get(split, math.nan),
            )
            for (name, split), images in counts.items()
        ],
        columns=["class", "split", "images", "share", "wanted"],
    )


def shares_missed(table: pd.DataFrame) -> list[str]:
    """Return a line for each class and split whose share is off by more than TOLERANCE and more than one image."""
    off = (table["share"] - table["wanted"]).abs()
    images_off = off * table["images"] / table["share"]
    missed = table[(off > TOLERANCE) & (images_off > 1)]
    return [
        f"{split} has {share:.2f} of the class {name!r} in place of {wanted:g}"
        for name, split, _, share, wanted in missed.itertuples(index=False, name=None)
    ]


def hash_of_cluster(cluster: list[UsableImage], seed: int | str) -> str:
    """Return a hash of the seed and of the smallest sha256 of the cluster's files."""
    smallest = min(image.facts.sha256 for image in cluster)
    return hashlib.sha256(f"{seed} {smallest}".encode()).hexdigest()


def refuse_missing_classes(images: list[UsableImage], chosen: Mapping[str, str], parts: list[str]) -> None:
    """Raise UserError if a split or fold lacks a class, which is possible where clusters hold several classes."""
    classes = {image.candidate.class_name for image in images}
    for split in parts:
        missing = classes - {image.candidate.class_name for image in images if chosen[image.candidate.name] == split}
        if missing:
            raise UserError(
                f"{split} would have no image of the class {min(missing)!r}: {why_tied(images, min(missing))}"
            )


def why_tied(images: list[UsableImage], class_name: str) -> str:
    """Return why a class's images go where those of other classes go, and what helps."""
    class_images = [image for image in images if image.candidate.class_name == class_name]
    others = {image.facts.sha256 for image in images if image.candidate.class_name != class_name}
    if any(image.candidate.group for image in class_images):
        return "data.groups ties its images to those of other classes: add images, or loosen it"
    if others & {image.facts.sha256 for image in class_images}:
        return "its files lie in other class folders too: mend this, or set data.conflicts to drop"
    return "its images are near copies of other classes' images: add others, or set data.near_distance to null"
