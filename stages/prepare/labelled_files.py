"""Join the rows of a table of labels with the files of the data set: the same FolderStructure as class folders give.

Every row and every file is used, or is in the audit with the reason, or ends the stage.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from plumbline.data.prepared import SPLITS
from plumbline.images.class_folders import files_below
from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.class_names import canonical, nearest, refuse_look_alikes
from stages.prepare.decoding import printable
from stages.prepare.folder_structure import (
    EXTRACTED,
    Candidate,
    FolderStructure,
    excluded_files,
    find_structure,
    kept_classes,
)
from stages.prepare.groups import groups_of
from stages.prepare.label_table import ROLES, read_table
from stages.prepare.path_matching import Files
from stages.prepare.split_folders import split_meant

MOST_BYTES = 255  # of a class name in UTF-8, as of a folder's


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table of labels, as text; empty where the table has no value."""

    place: str  # the row's number and the table's name, for messages
    path: str
    label: str
    split: str
    group: str


def find_data_set(root: Path, data: Data) -> FolderStructure:
    """Return the data set as its table of labels says, if it has one, else as its folders do."""
    return (labelled_structure if data.labels or data.labels_in_root else find_structure)(root, data)


def labelled_structure(root: Path, data: Data) -> FolderStructure:
    """Return what the tables of labels say of the files below the folder `root`.

    Raises UserError if a table cannot be read, names one file in two ways, or names none.
    """
    root = root.absolute()
    roots = roots_in_paths(root, data.root)
    paths = {path.as_posix().removeprefix(f"{root.as_posix()}/"): path for path in files_below(root)}
    tables = find_tables(root, paths, data)
    files = Files({name: path for name, path in paths.items() if path not in tables}, roots)
    rows_by_file: dict[str, list[Row]] = defaultdict(list)
    without_file = []
    for path, shown in tables.items():
        inside = path.is_relative_to(root)
        folder = (roots[0] / path.relative_to(root) if inside else path.absolute()).parent.as_posix()
        for row in rows_of(read_table(path, shown, data.columns), shown):
            matches = files.find(row.path, folder) if row.path.strip() else []
            if len(matches) > 1:
                raise UserError(
                    f"{row.place}: the path {row.path!r} may be {matches[0]} or {matches[1]}: give more of the path, "
                    "or set data.root to the folder that the paths are relative to"
                )
            if matches:
                rows_by_file[matches[0]].append(row)
            else:
                without_file.append(row)
    shown = ", ".join(tables.values())
    if not rows_by_file and not without_file:
        raise UserError(f"{shown} has no row: it should have one for each image")
    if not rows_by_file:
        raise UserError(
            f"none of the {len(without_file)} paths in {shown}, such as {without_file[0].path!r}, is that of a file in "
            f"{data.root}: give them relative to data.root or to the table"
        )
    return structure_of(files.paths, rows_by_file, without_file, shown, data)


def roots_in_paths(root: Path, data_root: str) -> list[Path]:
    """Return the folder `root` as absolute paths in a table may name it: by data.root as given, and without links."""
    roots = dict.fromkeys([Path(os.path.normpath(Path(data_root).absolute())), Path(data_root).resolve()])
    if not root.is_relative_to(EXTRACTED.absolute()):
        return list(roots)
    inside = root.relative_to(EXTRACTED.absolute())  # an archive, whose name may be a part of the paths
    return [archive.with_suffix("").with_suffix("") / inside for archive in roots]


def find_tables(root: Path, paths: dict[str, Path], data: Data) -> dict[Path, str]:
    """Return the tables that the parameters name, and what they are called in messages."""
    if data.labels is not None:
        path = Path(data.labels)
        if not path.is_file():
            raise UserError(f"data.labels: there is no file {path}: set it to a table of labels, or to null")
        inside = path.resolve().is_relative_to(root.resolve())
        return {root / path.resolve().relative_to(root.resolve()) if inside else path: data.labels}
    wanted = f"/{canonical(data.labels_in_root)}"
    tables = {path: name for name, path in paths.items() if f"/{canonical(name)}".endswith(wanted)}
    if not tables:
        hint = nearest(data.labels_in_root, paths, "name a table in it, or set it to null")
        raise UserError(f"data.labels_in_root: {data.root} holds no {data.labels_in_root}: {hint}")
    return tables


def rows_of(table: pd.DataFrame, shown: str) -> Iterator[Row]:
    """Yield the rows of a table, with their labels, splits and groups as the pipeline calls them.

    Raises UserError for a label that cannot be a class name, and for a split that is none.
    """
    names = {label: class_name(shown, number, label) for number, label in unlike(table["label"])}
    splits = {split: split_name(shown, number, split) for number, split in unlike(table["split"])}
    columns = (table[role].tolist() for role in ROLES)
    for number, path, label, split, group in zip(table.index, *columns, strict=True):
        yield Row(f"row {number} of {shown}", path, names[label], splits[split], canonical(group.strip()))


def unlike(column: pd.Series) -> list[tuple[int, str]]:
    """Return each different value of a column, with the number of its first row."""
    return list(column.drop_duplicates().items())


def class_name(shown: str, number: int, label: str) -> str:
    """Return a label as a class name, or nothing for one that is empty."""
    name = canonical(label.strip())
    if printable(name) != name or len(name.encode("utf-8")) > MOST_BYTES:
        raise UserError(
            f"row {number} of {shown}: the label {label[:40]!r}{'...' if len(label) > 40 else ''} is no class name: "
            f"these have at most {MOST_BYTES} bytes in UTF-8 and no control characters"
        )
    return name


def split_name(shown: str, number: int, split: str) -> str:
    """Return the split that a table means, or nothing where it gives none."""
    meant = split_meant(split.strip()) if split.strip() else ""
    if meant is None:
        raise UserError(
            f"row {number} of {shown}: {split!r} is no split: it should be train, val or test, or empty where it "
            "is to be chosen; if this column says something else, name another in data.columns.split"
        )
    return meant


def structure_of(
    paths: dict[str, Path], rows_by_file: dict[str, list[Row]], without_file: list[Row], shown: str, data: Data
) -> FolderStructure:
    """Return the data set, given all its files but the tables, and the rows with a file and without."""
    labelled = {name: rows_by_file[name] for name in paths if any(row.label for row in rows_by_file.get(name, ()))}
    labels = {name: labels_of(rows) for name, rows in labelled.items()}
    split_of = {name: only("split", rows, name) for name, rows in labelled.items()}
    if not any(split_of.values()):
        split_of = splits_by_folder(list(labelled))
    missing = [(row.split or None, row.label) for row in without_file if row.label]
    classes = find_classes([*split_and_label(split_of, labels), *missing], shown, data.classes)
    excluded = excluded_files(paths, data.exclude, f"no file of {data.root}")
    kept = [name for name in labelled if labels[name][0] in classes and name not in excluded]
    groups = groups_of_files(kept, labelled, shown, data)
    split_of |= splits_of_groups(split_of, groups)
    candidates = [Candidate(paths[name], name, split_of[name], labels[name][0], groups[name]) for name in kept]
    several = {name: rows for name in kept if len(rows := labelled[name]) > 1}
    return FolderStructure(
        find_splits(candidates, shown),
        classes,
        [part for part in parts_to_fill(split_of, labels, missing) if part[1] in classes],
        sorted(candidates, key=lambda file: (SPLITS.index(file.split or "train"), file.class_name)),
        strays=[],
        left_out=[name for name in labelled if labels[name][0] not in classes and name not in excluded],
        excluded=sorted(excluded),
        table=shown,
        unlabelled=[
            (
                name,
                f"{places(rows)} has no label" if (rows := rows_by_file.get(name)) else f"no row of {shown} names it",
            )
            for name in paths
            if name not in labelled and name not in excluded
        ],
        without_file=[
            (row.path, f"{row.place} {'names it' if row.path.strip() else 'has no path'}") for row in without_file
        ],
        conflicts={
            name: f"{places(rows)} label it {' and '.join(map(repr, labels[name]))}"
            for name, rows in several.items()
            if len(labels[name]) > 1
        },
        repeated=[(name, f"{places(rows)} name it") for name, rows in several.items() if len(labels[name]) == 1],
    )


def parts_to_fill(
    split_of: dict[str, str | None], labels: dict[str, list[str]], missing: list[tuple[str | None, str]]
) -> list[tuple[str | None, str]]:
    """Return each split and label of which an image must be usable; of rows without a file or a split, new labels."""
    parts = dict.fromkeys(split_and_label(split_of, labels))
    known = {label for _, label in parts}
    return list(parts | dict.fromkeys(part for part in missing if part[0] or part[1] not in known))


def find_splits(candidates: list[Candidate], shown: str) -> tuple[str, ...]:
    """Return the splits that the table gives. Raises UserError if it gives every file one, and none of them train."""
    given = {candidate.split for candidate in candidates}
    if given and not given & {None, "train"}:
        raise UserError(
            f"{shown} has rows of {' and '.join(sorted(given))} and none of train: the model learns from those"
        )
    return tuple(split for split in SPLITS if split in given)


def split_and_label(split_of: dict[str, str | None], labels: dict[str, list[str]]) -> list[tuple[str | None, str]]:
    return [(split_of[name], file_labels[0]) for name, file_labels in labels.items()]


def labels_of(rows: list[Row]) -> list[str]:
    """Return the different labels that rows give."""
    return list(dict.fromkeys(row.label for row in rows if row.label))


def places(rows: list[Row]) -> str:
    return " and ".join(row.place for row in rows)


def only(what: str, rows: list[Row], name: str) -> str | None:
    """Return the one split or group that the rows of a file give, or None. Raises UserError if they give two."""
    values = list(dict.fromkeys(value for row in rows if (value := getattr(row, what))))
    if len(values) > 1:
        raise UserError(f"{places(rows)} give {name} the {what}s {values[0]!r} and {values[1]!r}: keep one")
    return values[0] if values else None


def splits_by_folder(names: list[str]) -> dict[str, str | None]:
    """Return the split of each file by the folder in data.root that holds it, if the labelled files lie in several.

    Where only train/ has labels, as in many competitions, its files are to be split.
    """
    meant = {name: split_meant(name.partition("/")[0]) if "/" in name else None for name in names}
    several = {"train"} < set(meant.values()) - {None}
    return meant if several else dict.fromkeys(names)


def find_classes(folders: list[tuple[str | None, str]], shown: str, keep: list[str] | None) -> list[str]:
    """Return the sorted names of the classes that are kept, given the split and label of each row.

    Raises UserError if there are fewer than two, if val or test has one that train lacks, or if two look alike.
    """
    in_train = {label for split, label in folders if split in (None, "train")} or {label for _, label in folders}
    classes = sorted(in_train)
    if len(classes) < 2:
        raise UserError(
            f"{shown} must have rows of at least two labels; it has {', '.join(map(repr, classes)) or 'none'}"
        )
    classes = kept_classes(classes, keep, f"which no row of {shown} has")
    for split, label in folders:
        if label not in in_train and keep is None:
            raise UserError(
                f"{shown} has the label {label!r} in {split}, which no row of train has: {' '.join(classes)}; add it "
                "there, or name the classes to use in data.classes"
            )
    refuse_look_alikes({label: label for _, label in reversed(folders)}, classes, "labels")
    return classes


def groups_of_files(names: list[str], rows: dict[str, list[Row]], shown: str, data: Data) -> dict[str, str | None]:
    """Return the group of each file by the table, or by data.groups. Raises UserError if both give groups."""
    by_table = {name: only("group", rows[name], name) for name in names}
    if any(by_table.values()) and data.groups is not None:
        raise UserError(f"data.groups is set, and {shown} has a column of groups: set data.groups to null")
    return groups_of(names, data.groups) if data.groups is not None else by_table


def splits_of_groups(split_of: dict[str, str | None], groups: dict[str, str | None]) -> dict[str, str | None]:
    """Return for each file without a split the one that the table gives to others of its group, if there is one."""
    given = {group: split_of[name] for name, group in groups.items() if group and split_of[name]}
    return {name: given.get(group) for name, group in groups.items() if not split_of[name]}
