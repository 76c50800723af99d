"""Find what `data.root` holds: its splits, if it comes with them, its classes, and every file in them.

An archive is extracted first, and removed again at the end.
"""

import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from plumbline.images.archives import extract
from plumbline.images.class_folders import class_folders, files_below, named_as_image, relative, visible
from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.class_names import appearance, canonical, nearest, refuse_look_alikes
from stages.prepare.groups import groups_of
from stages.prepare.split_folders import find_splits, if_a_class

EXTRACTED = Path("data/extracted.partial")


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


def find_classes(folders: dict[str | None, list[str]], keep: list[str] | None) -> list[str]:
    """Return the sorted names of the classes that are kept, given the class folders of each split.

    Raises UserError if the first split does not have them, or another split has one that it lacks.
    """
    (first, names), *others = folders.items()
    classes = sorted(set(names))
    if len(classes) < 2:
        present = ", ".join(f"{name}/" for name in classes) or "none"
        what = f"; {if_a_class(first)}; if a table has the labels, name it in data.labels" if first else ""
        raise UserError(f"{name_of(first)} must hold a folder for each of at least two classes; it has {present}{what}")
    classes = kept_classes(classes, keep, "which has no folder")
    for split, names in others:
        used = names if keep is None else [name for name in names if name in classes]
        unknown = sorted(set(used) - set(classes))
        alike = {appearance(name) for name in classes}
        if not {appearance(name) for name in names} & alike:
            present = f"none of the class folders, but {names[0]!r}" if names else "no class folder"
            raise UserError(
                f"{name_of(split)} has {present}: it must hold one for each of {' '.join(classes)}; if its images have "
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
