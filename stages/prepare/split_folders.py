"""Tell which folders of `data.root` are splits and which are classes, by their names and by what stands beside them.

A split under another name, such as valid/, and a name that may be either, are refused with both readings.
"""

import re
from pathlib import Path

from plumbline.data.prepared import SPLITS
from plumbline.images.class_folders import class_folders, files_below, named_as_image, relative
from plumbline.run.errors import UserError
from stages.prepare.class_names import canonical

OTHER_NAMES = {
    "train": "train", "training": "train", "trainset": "train", "trains": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "vals": "val", "eval": "val",
    "test": "test", "testing": "test", "testset": "test", "tests": "test",
}  # fmt: skip


def find_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that the folder has. Raises UserError for a split under another name, such as valid/."""
    folders = class_folders(root)
    if classes_named_as_splits(root, folders):
        return ()
    splits = tuple(split for split in SPLITS if split in folders)
    for folder in folders:
        split = split_meant(folder)
        if folder not in SPLITS and split and split not in splits and (splits or split == "train"):
            raise UserError(
                f"data.root has {folder}/ and no {split}/: if these are its {split} images, rename it to {split}/; "
                f"{if_a_class(folder)}"
            )
    if not splits:
        refuse_hidden_splits(root, folders)
    if splits and "train" not in splits:
        raise UserError(
            f"data.root has {splits[0]}/ and no train/: both must hold one folder a class; {if_a_class(splits[0])}"
        )
    return splits


def refuse_hidden_splits(root: Path, folders: list[str]) -> None:
    """Raise UserError for splits that would be taken for classes: within folders, or under names such as test_set."""
    for name in folders:
        place = innermost_folder(root / name)
        splits = [split for split in class_folders(place) if split_meant(split)]
        if {"train"} < set(map(split_meant, splits)):
            below = relative(place, root)
            if any(class_folders(place / split) for split in splits):
                what = f"if these are the splits, set data.root to the folder {below}/ itself"
            else:
                what = f"if these are splits, they must enclose the classes, as train/{below}/"
            listed = " ".join(f"{split}/" for split in splits)
            raise UserError(f"data.root has {below}/, which holds {listed}: {what}; if not, give them other names")
    inner = {name: set(class_folders(innermost_folder(root / name))) for name in folders if split_in(name)}
    for train, other in ((a, b) for a in inner for b in inner if split_in(a) == "train" != split_in(b)):
        if both := sorted(inner[train] & inner[other]):
            raise UserError(
                f"data.root has {train}/ and {other}/, which both hold {both[0]}/: if they are splits, rename them to "
                f"train/ and {split_in(other)}/; if they are classes, give them names without the words for splits"
            )


def if_a_class(folder: str) -> str:
    """Return what to do with a folder that is named as a split and is a class."""
    return f"if {folder}/ is a class, rename it to {folder}_class/"


def innermost_folder(folder: Path) -> Path:
    """Return the first folder, from this one on, that holds no folder or several."""
    while len(names := class_folders(folder)) == 1:
        folder = folder / names[0]
    return folder


def split_in(folder: str) -> str | None:
    """Return the split that a word of a folder's name means, as in training_set and seg_test, or None."""
    return next((split for word in re.findall(r"[^\W\d_]+", folder) if (split := split_meant(word))), None)


def split_meant(folder: str) -> str | None:
    """Return the split that a folder's name means, or None."""
    return OTHER_NAMES.get(folder.casefold())


def classes_named_as_splits(root: Path, folders: list[str]) -> bool:
    """Return whether train/, val/ and the like are classes, which what stands beside them decides.

    They are splits if all folders with images are named so, or if two of them hold folders of the same names. They are
    classes if no train/ with folders in it is among them. Raises UserError for anything else.
    """
    beside = [name for name in folders if not split_meant(name) and any(map(named_as_image, files_below(root / name)))]
    inner = {name: set(map(canonical, class_folders(root / name))) for name in folders if split_meant(name)}
    if not inner or not beside:
        return False
    trains = [name for name in inner if split_meant(name) == "train" and inner[name]]
    if not trains:
        return True
    train = trains[0]
    if any(inner[train] & inner[name] for name in inner if split_meant(name) != "train"):
        return False
    listed, others = (" ".join(f"{name}/" for name in sorted(names)[:3]) for names in (inner[train], beside))
    raise UserError(
        f"data.root has {train}/, which holds {listed}, beside {others}: if {train}/ is a class like these, give it "
        f"another name, such as {train}_class/; if it is a split, move {others} out of data.root"
    )
