"""Choose one of k folds as test: each image is in the test split of exactly one fold, and every class is in each.

The rules are those of `splitting`: the choice follows from the content, class by class, and a cluster stays together.
The splits that a data set comes with are not used. In each class the largest clusters come first, and each goes to the
fold that has the fewest images. Of clusters of one size, which a hash of their content orders, each fold gets the next
few, so that an added image moves few others.
"""

from collections import Counter
from dataclasses import replace
from itertools import groupby

from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.folder_structure import FolderStructure
from stages.prepare.parallel_decoding import UsableImage
from stages.prepare.splitting import (
    choose_splits,
    hash_of_cluster,
    refuse_missing_classes,
    strata_of,
    why_and_what_to_do,
)


def without_splits(structure: FolderStructure) -> FolderStructure:
    """Return the same data set as if it came without splits."""
    return replace(
        structure,
        splits=(),
        folders=list(dict.fromkeys((None, name) for _, name in structure.folders)),
        candidates=[replace(candidate, split=None) for candidate in structure.candidates],
    )


def choose_fold(images: list[UsableImage], near: dict[str, int], data: Data) -> dict[str, str]:
    """Return the split of each image, by its name: data.fold is test, and val is chosen among the other images.

    `near` has the same number for images that are near copies, by name. Each fold has another val.
    Raises UserError if a class has too few clusters for every fold to have one.
    """
    fold_of = choose_folds(images, near, data.folds, data.split_seed)
    rest = [image for image in images if fold_of[image.candidate.name] != data.fold]
    share = data.val_share * data.folds / (data.folds - 1)  # of the rest
    chosen = choose_splits(rest, near, {"val": share}, f"{data.split_seed} fold {data.fold}")
    return {name: chosen.get(name, "test") for name in fold_of}


def choose_folds(images: list[UsableImage], near: dict[str, int], folds: int, seed: int) -> dict[str, int]:
    """Return the fold of each image, from 0, by its name."""
    chosen, sizes = {}, Counter()
    for class_name, stratum in strata_of(images, near).items():
        if len(stratum) < folds:
            fewer = f", or set data.folds to {len(stratum)}" if len(stratum) > 2 else ""
            raise UserError(
                f"the class {class_name!r} has {len(stratum)} image(s) that are independent of each other, too few for "
                f"{folds} folds: {why_and_what_to_do(stratum, near, folds, fewer, by_hand=False)}"
            )
        stratum_folds = choose_in_class(stratum, sizes, folds, f"{seed} folds")
        sizes.update(stratum_folds.values())
        chosen |= stratum_folds
    named = {name: f"fold {fold}" for name, fold in chosen.items()}
    refuse_missing_classes(images, named, [f"fold {fold}" for fold in range(folds)])
    return chosen


def choose_in_class(stratum: list[list[UsableImage]], sizes: Counter[int], folds: int, seed: str) -> dict[str, int]:
    """Return the fold of each image of one class's clusters; of equally full folds the one of the smallest `sizes`.

    Largest first, to the part that has least, is Graham's rule: no fold has more images than another by more than the
    largest cluster. Source: Graham 1969, "Bounds on multiprocessing timing anomalies".
    """
    in_order = sorted(stratum, key=lambda cluster: (-len(cluster), hash_of_cluster(cluster, seed)))
    images, chosen = [0] * folds, {}
    for size, of_one_size in groupby(in_order, key=len):
        clusters, places = list(of_one_size), []
        for _ in clusters:
            fold = min(range(folds), key=lambda fold: (images[fold], sizes[fold]))
            images[fold] += size
            places.append(fold)
        for cluster, fold in zip(clusters, sorted(places), strict=True):
            chosen |= {image.candidate.name: fold for image in cluster}
    return chosen
