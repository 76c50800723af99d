"""Corrections of labels by a person: a table that `tools.review` saves, applied by the hash of each image's file.

A row says of every copy of a file, wherever it lies, that it has a label (keep, relabel), is not to be used (exclude),
or is still undecided. The user's files stay as they are, and without the row everything is as before. No image comes to
another split: splits are chosen by the labels that the data set has, and with the images that are excluded.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from plumbline.data.prepared import SPLITS
from plumbline.run.errors import UserError
from stages.prepare.audit import Audit
from stages.prepare.class_names import canonical, nearest
from stages.prepare.decoding import Unusable
from stages.prepare.folder_structure import Candidate, FolderStructure
from stages.prepare.label_table import delimited, text_of
from stages.prepare.parallel_decoding import UsableImage

COLUMNS = ("path", "sha256", "label", "action", "note")
KEEP, RELABEL, EXCLUDE, UNDECIDED = ACTIONS = ("keep", "relabel", "exclude", "undecided")
APPLIED, STALE, UNKNOWN = "applied", "stale", "unknown"  # or undecided: what became of a row
STATUSES = (APPLIED, UNDECIDED, STALE, UNKNOWN)


@dataclass(frozen=True, slots=True)
class Correction:
    """A row of the table, as text."""

    place: str  # the row's number and the table's name, for messages
    path: str
    sha256: str
    label: str
    action: str
    note: str

    @property
    def new_label(self) -> str | None:
        """The label that the image has from now on; None for one that is excluded."""
        return None if self.action == EXCLUDE else self.label


def read_corrections(name: str, classes: list[str]) -> list[Correction]:
    """Return the rows of the table that `data.corrections` names.

    Raises UserError for a table that cannot be read, a row that cannot be right, a label that is no class, and rows
    that contradict each other.
    """
    if not Path(name).is_file():
        raise UserError(
            f"data.corrections: there is no file {name}: set it to one that `python -m tools.review` saved, or to null"
        )
    table = delimited(name, text_of(Path(name), name))
    table.columns = [column.strip() for column in table.columns]
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise UserError(f"{name} has no column {missing[0]!r}: its columns should be {', '.join(COLUMNS)}")
    values = table[[*COLUMNS]].fillna("").itertuples(name=None)  # a short row lacks its last values
    rows = [checked(f"row {number} of {name}", *row) for number, *row in values]
    refuse_other_labels(rows, classes)
    decided(rows)
    return rows


def checked(place: str, path: str, sha256: str, label: str, action: str, note: str) -> Correction:
    """Return a row. Raises UserError for an action or a hash that is none, and for a label that is not there."""
    if action not in ACTIONS:
        hint = nearest(action, ACTIONS, f"it should be {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}")
        raise UserError(f"{place}: the action {action!r} is unknown; {hint}")
    if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise UserError(f"{place}: the sha256 {sha256[:70]!r} should be 64 hexadecimal digits")
    if action in (KEEP, RELABEL) and not label:
        raise UserError(f"{place}: {action} needs the label that the image has from now on")
    return Correction(place, path, sha256.lower(), canonical(label), action, note)


def decided(corrections: Iterable[Correction]) -> dict[str, Correction]:
    """Return by hash what is decided. Raises UserError for two rows that contradict each other."""
    decisions: dict[str, Correction] = {}
    for correction in corrections:
        if correction.action == UNDECIDED:
            continue
        first = decisions.setdefault(correction.sha256, correction)
        if first.new_label != correction.new_label:
            raise UserError(
                f"{first.place} and {correction.place} contradict each other about {correction.path}: "
                f"{words(first)}, and {words(correction)}; remove one of them"
            )
    return decisions


def words(correction: Correction) -> str:
    return correction.action if correction.new_label is None else f"{correction.action} as {correction.label!r}"


def refuse_other_labels(corrections: list[Correction], classes: list[str]) -> None:
    """Raise UserError for a label that is no class of the data set."""
    for correction in corrections:
        if correction.action in (KEEP, RELABEL) and correction.label not in classes:
            hint = nearest(correction.label, classes, f"there are {' '.join(classes)}")
            raise UserError(f"{correction.place}: the label {correction.label!r} is no class; {hint}")


def with_new_labels(
    structure: FolderStructure, results: list[UsableImage | Unusable], corrections: list[Correction]
) -> tuple[FolderStructure, list[UsableImage | Unusable]]:
    """Return the data set and what was read of it, in order, as if the corrected labels were its own.

    A file with two labels is no conflict once one of them is confirmed.
    """
    labels = {sha256: correction.new_label for sha256, correction in decided(corrections).items()}
    new = {sha256: label for sha256, label in labels.items() if label is not None}
    if not new:
        return structure, results
    images = [corrected(result, new) if isinstance(result, UsableImage) else result for result in results]
    candidates = [
        image.candidate if isinstance(image, UsableImage) else candidate
        for candidate, image in zip(structure.candidates, images, strict=True)
    ]
    order = sorted(range(len(candidates)), key=lambda i: place_of(candidates[i]))
    candidates, results = [candidates[i] for i in order], [images[i] for i in order]
    settled = {each.candidate.name for each in results if isinstance(each, UsableImage) and each.facts.sha256 in new}
    emptied = {(each.split, each.class_name) for each in structure.candidates}
    emptied -= {(each.split, each.class_name) for each in candidates}
    changed = replace(
        structure,
        candidates=candidates,
        folders=[folder for folder in structure.folders if folder not in emptied],
        conflicts={name: why for name, why in structure.conflicts.items() if name not in settled},
    )
    return changed, results


def corrected(image: UsableImage, new: dict[str, str]) -> UsableImage:
    """Return an image with its new label by its hash, if there is one."""
    class_name = new.get(image.facts.sha256, image.candidate.class_name)
    return replace(image, candidate=replace(image.candidate, class_name=class_name))


def place_of(candidate: Candidate) -> tuple[int, str, list[str]]:
    """Return what candidates are in the order of: split, class and path."""
    return SPLITS.index(candidate.split or "train"), candidate.class_name, candidate.name.split("/")


def with_original_labels(images: list[UsableImage], structure: FolderStructure) -> list[UsableImage]:
    """Return the images with the labels that the data set, `structure`, has for them."""
    candidates = {candidate.name: candidate for candidate in structure.candidates}
    return [replace(image, candidate=candidates[image.candidate.name]) for image in images]


def without_excluded(
    audit: Audit, splits: dict[str, list[UsableImage]], corrections: list[Correction], classes: list[str]
) -> tuple[Audit, dict[str, list[UsableImage]]]:
    """Return the audit, with the images that are excluded in the quarantine, and the splits without them.

    Raises UserError if a split is left without an image, or train without one of a class.
    """
    places = {
        sha256: correction.place for sha256, correction in decided(corrections).items() if correction.action == EXCLUDE
    }
    left_out = [
        (image.candidate.name, Unusable("excluded", places[image.facts.sha256]))
        for images in splits.values()
        for image in images
        if image.facts.sha256 in places
    ]
    kept = {split: [image for image in images if image.facts.sha256 not in places] for split, images in splits.items()}
    for split, images in kept.items():
        if not images:
            raise UserError(f"data.corrections leaves no image in {split}: add some, or exclude fewer")
    in_train = {image.candidate.class_name for image in kept["train"]}
    for class_name in classes:
        if class_name not in in_train:
            raise UserError(
                f"data.corrections leaves no image of the class {class_name!r} in train: add some, or leave the class "
                "out with data.classes"
            )
    return replace(audit, quarantine=audit.quarantine + left_out), kept


def corrections_table(
    corrections: list[Correction], structure: FolderStructure, results: list[UsableImage | Unusable]
) -> pd.DataFrame:
    """Return each row with what became of it, given the data set and what was read of it before any correction."""
    images = [result for result in results if isinstance(result, UsableImage)]
    by_hash, now = defaultdict(list), {}
    for image in images:
        by_hash[image.facts.sha256].append(image.candidate)
        now[image.candidate.name] = image.facts.sha256
    rows = []
    for correction in corrections:
        if files := by_hash.get(correction.sha256):
            status = UNDECIDED if correction.action == UNDECIDED else APPLIED
            detail = "; ".join(f"{file.name}, labelled {file.class_name!r}" for file in files)
        elif correction.path in now:
            status, detail = STALE, f"the file at this path has the sha256 {now[correction.path]} now"
        else:
            status, detail = UNKNOWN, "no image that can be used has this sha256 or this path"
        rows.append([*(getattr(correction, column) for column in COLUMNS), status, detail])
    return pd.DataFrame(rows, columns=[*COLUMNS, "status", "detail"])


def counts_of(table: pd.DataFrame) -> dict[str, int]:
    """Return how many rows have each status."""
    counts = Counter(table["status"])
    return {f"corrections_{status}": counts[status] for status in STATUSES}


def line_of(table: pd.DataFrame, name: str) -> str:
    """Return the line that the stage prints."""
    actions = Counter(table[table["status"] == APPLIED]["action"])
    done = ", ".join(f"{actions[action]} {action}" for action in ACTIONS if actions[action])
    counts = Counter(table["status"])
    rest = "".join(f", {counts[status]} {status}" for status in STATUSES[1:] if counts[status])
    return f"{name}: {counts[APPLIED]} of {len(table)} corrections applied{f' ({done})' if done else ''}{rest}"
