"""Find what a user's folder holds: its splits, its classes, and every file in them."""

from dataclasses import dataclass
from pathlib import Path

from plumbline.class_folders import class_folders, files_below, visible
from plumbline.errors import UserError

REQUIRED_SPLITS = ("train", "val")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Candidate:
    """A file that may become an image: where it is, and where it belongs."""

    path: Path  # absolute, for the worker processes
    name: str  # relative to data.root, with forward slashes
    split: str
    class_name: str


def find_splits(root: Path) -> dict[str, Path]:
    """Return the folder of each split that is there; train and val must be."""
    if not root.is_dir():
        raise UserError(f"data.root: there is no folder {root}: set it to one that holds train/ and val/")
    for split in REQUIRED_SPLITS:
        if not (root / split).is_dir():
            found = ", ".join(sorted(f"{f.name}/" for f in visible(root) if f.is_dir())) or "no folder"
            raise UserError(
                f"data.root: {root} has no folder {split}/, which must hold one folder a class; it has {found}"
            )
    return {split: root / split for split in SPLITS if (root / split).is_dir()}


def find_classes(splits: dict[str, Path]) -> list[str]:
    """Return the class names in label order: train's folders, sorted, which no other split may exceed.

    The labels follow from the names alone, so a class folder that val lacks shifts none of them.
    """
    classes = class_folders(splits["train"])
    if len(classes) < 2:
        raise UserError(f"{splits['train']} has {len(classes)} class folder(s): at least two classes can be told apart")
    for folder in splits.values():
        if not class_folders(folder):
            raise UserError(f"{folder} has no class folder: it must hold one for each of {' '.join(classes)}")
        unknown = sorted(set(class_folders(folder)) - set(classes))
        if unknown:
            raise UserError(
                f"{folder} has the class {unknown[0]!r}, which {splits['train']} lacks: {' '.join(classes)}"
            )
    return classes


def find_candidates(root: Path, splits: dict[str, Path]) -> list[Candidate]:
    """Return every file below a class folder, by split, class and path."""
    return [
        Candidate(path.absolute(), path.relative_to(root).as_posix(), split, class_name)
        for split, folder in splits.items()
        for class_name in class_folders(folder)
        for path in files_below(folder / class_name)
    ]


def find_strays(root: Path, candidates: list[Candidate]) -> list[str]:
    """Return every file that lies outside the class folders, relative to the root."""
    known = {candidate.name for candidate in candidates}
    names = (path.relative_to(root).as_posix() for path in files_below(root))
    return [name for name in names if name not in known]
