"""Find what `data.root` holds: its splits, if it comes with them, its classes, and every file in them.

An archive is extracted first, and removed again at the end.
"""

import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from plumbline.data.prepared import SPLITS
from plumbline.images.archives import extract
from plumbline.images.class_folders import class_folders, files_below, visible
from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.class_names import appearance, canonical, nearest, refuse_look_alikes
from stages.prepare.groups import groups_of

EXTRACTED = Path("data/extracted.partial")
OTHER_NAMES = {
    "train": "train", "training": "train", "trainset": "train", "trains": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "vals": "val", "eval": "val",
    "test": "test", "testing": "test", "testset": "test", "tests": "test",
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
    folders: list[tuple[str | None, str]]  # split and class of each class folder, or row of a table, that is kept
    candidates: list[Candidate]  # by split, class and path
    strays: list[str]  # files that lie outside the class folders, by name
    left_out: list[str]  # files of classes that data.classes leaves out, by name
    excluded: list[str]  # files that data.exclude names
    # Of a table of labels alone; each of these lists has a file's name, or its path in the table, and the rows.
    table: str | None = None  # the table's name
    unlabelled: list[tuple[str, str]] = field(default_factory=list)  # files without a label
    without_file: list[tuple[str, str]] = field(default_factory=list)  # rows without a file
    conflicts: dict[str, str] = field(default_factory=dict)  # files with two labels
    repeated: list[tuple[str, str]] = field(default_factory=list)  # files with two rows that agree


@contextmanager
def opened(root: Path) -> Iterator[Path]:
    """Yield the folder that holds the images: `root` itself, or the folder to which the archive `root` was extracted.

    A folder in an archive that encloses all images is stepped into. Raises UserError if there is no such file or it is
    not safe to extract. Then nothing is written outside of the folder, and nothing is left of it.
    """
    if root.is_dir():
        yield root
        return
    if not root.is_file():
        raise UserError(f"data.root: there is no folder or archive {root}: {what_to_set(root)}")
    shutil.rmtree(EXTRACTED, ignore_errors=True)
    try:
        extract(root, EXTRACTED)
        yield innermost(EXTRACTED)
    finally:
        shutil.rmtree(EXTRACTED, ignore_errors=True)


def what_to_set(root: Path) -> str:
    """Return what to do about a root that is not there. DVC's copies of the project have what Git and DVC track."""
    if "/.dvc/tmp/exps/" in Path.cwd().as_posix() and not root.is_absolute():
        return (
            "experiments of the queue and of --temp run in a copy of the project, without what neither Git nor DVC "
            "tracks: give an absolute path, or track it with `dvc add` or Git"
        )
    return "set it to one that holds your images"


def innermost(folder: Path) -> Path:
    """Return the innermost folder that encloses all images, and is no class folder and no split.

    Files beside it, such as a readme, are moved into it, so that each has its row in the quarantine.
    """
    while True:
        entries = visible(folder)
        folders = [Path(entry.path) for entry in entries if entry.is_dir()]
        files = [Path(entry.path) for entry in entries if not entry.is_dir()]
        if len(folders) != 1 or not class_folders(folders[0]) or any(map(named_as_image, files)):
            return folder
        folder = folders[0]
        for file in files:
            if not (folder / file.name).exists():
                file.rename(folder / file.name)


def named_as_image(path: Path) -> bool:
    """Return whether a file has an image's suffix, or none."""
    return not path.suffix or path.suffix.lower() in Image.registered_extensions()


def find_structure(root: Path, data: Data) -> FolderStructure:
    """Return what the folder `root` holds: class folders, or train/, and perhaps val/ and test/, with class folders.

    The labels follow from the sorted names of all classes that are kept, so that a class folder missing from val/
    shifts no label. Raises UserError if the folder has neither form.
    """
    splits = find_splits(root)
    roots = {split: root / split for split in splits} or {None: root}
    folders = [
        (split, canonical(name), folder / name) for split, folder in roots.items() for name in class_folders(folder)
    ]
    classes = find_classes({split: [name for s, name, _ in folders if s == split] for split in roots}, data.classes)
    refuse_look_alikes({name: relative(folder, root) for _, name, folder in reversed(folders)}, classes)
    files = {
        relative(path, root): (path, split, name) for split, name, folder in folders for path in files_below(folder)
    }
    strays = [name for path in files_below(root) if (name := relative(path, root)) not in files]
    excluded = excluded_files(files, data.exclude, "in no class folder")
    kept = [name for name, (_, _, class_name) in files.items() if class_name in classes and name not in excluded]
    groups = groups_of(kept, data.groups)
    candidates = [
        Candidate(path.absolute(), name, split, class_name, groups[name])
        for name in kept
        for path, split, class_name in [files[name]]
    ]
    return FolderStructure(
        splits,
        classes,
        list(dict.fromkeys((split, name) for split, name, _ in folders if name in classes)),
        candidates,
        strays,
        [name for name, (_, _, class_name) in files.items() if class_name not in classes and name not in excluded],
        sorted(excluded),
    )


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
        splits = [own for own in class_folders(place) if split_meant(own)]
        if {"train"} < set(map(split_meant, splits)):
            below = relative(place, root)
            if any(class_folders(place / own) for own in splits):
                what = f"if these are the splits, set data.root to the folder {below}/ itself"
            else:
                what = f"if these are splits, they must enclose the classes, as train/{below}/"
            listed = " ".join(f"{own}/" for own in splits)
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


def excluded_files(files: Collection[str], exclude: list[str], where: str) -> set[str]:
    """Return the files that `data.exclude` names. Raises UserError, which says `where`, if one does not exist."""
    spellings: dict[str, list[str]] = {}
    for file in files if exclude else ():
        spellings.setdefault(canonical(file), []).append(file)
    for name in exclude:
        if canonical(name) not in spellings:
            hint = nearest(name, files, "name files by their paths in the data set")
            raise UserError(f"data.exclude names {name!r}, which is {where}; {hint}")
    return {file for name in exclude for file in spellings[canonical(name)]}


def relative(path: Path, root: Path) -> str:
    """Return a file's name relative to the data set, with forward slashes."""
    return path.relative_to(root).as_posix()


def find_classes(folders: dict[str | None, list[str]], keep: list[str] | None) -> list[str]:
    """Return the sorted names of the classes that are kept, given the class folders of each split.

    Raises UserError if the first split does not have them, or another split has one that it lacks.
    """
    (first, names), *others = folders.items()
    classes = sorted(set(names))
    if len(classes) < 2:
        found = ", ".join(f"{name}/" for name in classes) or "none"
        what = f"; {if_a_class(first)}; if a table has the labels, name it in data.labels" if first else ""
        raise UserError(f"{name_of(first)} must hold a folder for each of at least two classes; it has {found}{what}")
    classes = kept_classes(classes, keep, "which has no folder")
    for split, names in others:
        used = names if keep is None else [name for name in names if name in classes]
        unknown = sorted(set(used) - set(classes))
        alike = {appearance(name) for name in classes}
        if not {appearance(name) for name in names} & alike:
            found = f"none of the class folders, but {names[0]!r}" if names else "no class folder"
            raise UserError(
                f"{name_of(split)} has {found}: it must hold one for each of {' '.join(classes)}; if its images have "
                f"no known class, move {split}/ elsewhere, and classify them with `python -m tools.predict`"
            )
        if unknown and appearance(unknown[0]) not in alike:
            raise UserError(
                f"{name_of(split)} has the class {unknown[0]!r}, which {name_of(first)} lacks: {' '.join(classes)}; "
                "add it there, or name the classes to use in data.classes"
            )
    return classes


def name_of(split: str | None) -> str:
    """Return the name of a split's folder in messages."""
    return f"data.root's {split}/" if split else "data.root"


def kept_classes(classes: list[str], keep: list[str] | None, lacking: str) -> list[str]:
    """Return the classes that `data.classes` keeps, sorted; all of them if it names none.

    Raises UserError for a name that is none of them, `lacking` what classes have.
    """
    if keep is None:
        return classes
    for name in keep:
        if canonical(name) not in classes:
            hint = nearest(name, classes, f"there are {' '.join(classes)}")
            raise UserError(f"data.classes names {name!r}, {lacking}; {hint}")
    kept = sorted(set(map(canonical, keep)))
    if len(kept) < 2:
        raise UserError(f"data.classes names {kept[0]!r} alone, twice: name at least two classes")
    return kept
