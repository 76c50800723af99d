"""Find what `data.root` holds: its splits, if it comes with them, its classes, and every file in them.

An archive is extracted first, and removed again at the end.
"""

import difflib
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plumbline.data.prepared import SPLITS
from plumbline.images.archives import extract
from plumbline.images.class_folders import class_folders, files_below, visible
from plumbline.params.data import Data
from plumbline.run.errors import UserError

EXTRACTED = Path("data/extracted.partial")
OTHER_NAMES = {
    "train": "train", "training": "train", "trainset": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test", "testset": "test",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may become an image: where it is, and where it belongs."""

    path: Path  # absolute, for the worker processes
    name: str  # relative to the data set, with forward slashes
    split: str | None  # None: to be chosen
    class_name: str
    group: str | None  # the part of the name that data.groups matches


@dataclass(frozen=True)
class FolderStructure:
    """Everything that a data set holds."""

    splits: tuple[str, ...]  # empty for class folders without splits
    classes: list[str]  # in label order
    folders: list[tuple[str | None, str]]  # split and class of each class folder that is kept
    candidates: list[Candidate]  # by split, class and path
    strays: list[str]  # files that lie outside the class folders, by name
    left_out: list[str]  # files of classes that data.classes leaves out, by name
    excluded: list[str]  # files that data.exclude names


@contextmanager
def opened(root: Path) -> Iterator[Path]:
    """Yield the folder that holds the images: `root` itself, or the folder to which the archive `root` was extracted.

    A folder in an archive that encloses everything else is skipped. Raises UserError if there is no such file or it is
    not safe to extract. Then nothing is written outside of the folder, and nothing is left of it.
    """
    if root.is_dir():
        yield root
        return
    if not root.is_file():
        raise UserError(f"data.root: there is no folder or archive {root}: set it to one that holds your images")
    shutil.rmtree(EXTRACTED, ignore_errors=True)
    try:
        extract(root, EXTRACTED)
        yield innermost(EXTRACTED)
    finally:
        shutil.rmtree(EXTRACTED, ignore_errors=True)


def innermost(folder: Path) -> Path:
    """Return the innermost folder that encloses everything else, and is no class folder and no split."""
    entries = visible(folder)
    while len(entries) == 1 and entries[0].is_dir() and any(entry.is_dir() for entry in visible(Path(entries[0].path))):
        folder = Path(entries[0].path)
        entries = visible(folder)
    return folder


def find_structure(root: Path, data: Data) -> FolderStructure:
    """Return what the folder `root` holds: class folders, or train/, and perhaps val/ and test/, with class folders.

    The labels follow from the sorted names of all classes that are kept, so that a class folder missing from val/
    shifts no label. Raises UserError if the folder has neither form.
    """
    splits = find_splits(root)
    roots = {split: root / split for split in splits} or {None: root}
    all_classes = find_classes(roots)
    classes = kept_classes(all_classes, data.classes)
    folders = [(split, name, folder / name) for split, folder in roots.items() for name in class_folders(folder)]
    files = {
        relative(path, root): (path, split, name) for split, name, folder in folders for path in files_below(folder)
    }
    strays = [name for path in files_below(root) if (name := relative(path, root)) not in files]
    excluded = excluded_files(files, data.exclude)
    candidates = [
        Candidate(path.absolute(), file, split, class_name, group_of(file, data.groups))
        for file, (path, split, class_name) in files.items()
        if class_name in classes and file not in excluded
    ]
    left_out = [
        file for file, (_, _, class_name) in files.items() if class_name not in classes and file not in excluded
    ]
    return FolderStructure(
        splits,
        classes,
        [(split, name) for split, name, _ in folders if name in classes],
        candidates,
        strays,
        left_out,
        sorted(excluded),
    )


def find_splits(root: Path) -> tuple[str, ...]:
    """Return the splits that the folder has. Raises UserError for a split under another name, such as valid/."""
    folders = class_folders(root)
    splits = tuple(split for split in SPLITS if split in folders)
    for folder in folders:
        split = OTHER_NAMES.get(folder.casefold())
        if folder not in SPLITS and split and split not in splits and (splits or split == "train"):
            raise UserError(f"data.root has {folder}/ and no {split}/: if these are its {split} images, rename it")
    if splits and "train" not in splits:
        raise UserError(f"data.root has {splits[0]}/ and no train/: both must hold one folder a class")
    return splits


def excluded_files(files: Collection[str], exclude: list[str]) -> set[str]:
    """Return the files that `data.exclude` names. Raises UserError if one of them does not exist."""
    for name in exclude:
        if name not in files:
            close = difflib.get_close_matches(name, files, n=1)
            hint = f"did you mean {close[0]!r}?" if close else "name files by their paths in the data set"
            raise UserError(f"data.exclude names {name!r}, which is in no class folder; {hint}")
    return set(exclude)


def relative(path: Path, root: Path) -> str:
    """Return a file's name relative to the data set, with forward slashes."""
    return path.relative_to(root).as_posix()


def find_classes(roots: dict[str | None, Path]) -> list[str]:
    """Return the sorted class names of the first split. Raises UserError if another split has further classes."""
    (first, folder), *others = roots.items()
    classes = class_folders(folder)
    if len(classes) < 2:
        found = ", ".join(f"{name}/" for name in classes) or "none"
        raise UserError(f"{name_of(first)} must hold a folder for each of at least two classes; it has {found}")
    for split, folder in others:
        own = class_folders(folder)
        if not own:
            raise UserError(f"{name_of(split)} has no class folder: it must hold one for each of {' '.join(classes)}")
        unknown = sorted(set(own) - set(classes))
        if unknown:
            raise UserError(
                f"{name_of(split)} has the class {unknown[0]!r}, which {name_of(first)} lacks: {' '.join(classes)}"
            )
    return classes


def name_of(split: str | None) -> str:
    """Return the name of a split's folder in messages."""
    return f"data.root's {split}/" if split else "data.root"


def kept_classes(classes: list[str], keep: list[str] | None) -> list[str]:
    """Return the classes that `data.classes` keeps, sorted; all of them if it names none."""
    if keep is None:
        return classes
    for name in keep:
        if name not in classes:
            close = difflib.get_close_matches(name, classes, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {' '.join(classes)}"
            raise UserError(f"data.classes names {name!r}, which has no folder; {hint}")
    return sorted(set(keep))


def group_of(name: str, groups: str | None) -> str | None:
    """Return the text that the regular expression's group matches in a file's name, or None."""
    match = re.search(groups, name) if groups else None
    return match.group(1) if match else None
