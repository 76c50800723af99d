"""Decide which images are used, by the limits and policies in section `data` of params.yaml, and note what is unusual.

A policy decides what happens to a finding: `keep` notes it in the audit's images.csv, `drop` moves the image to the
quarantine, `fail` ends the stage.
"""

from collections import Counter
from dataclasses import dataclass, replace

from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.decoding import Unusable, printable
from stages.prepare.duplicates import (
    Finding,
    alike,
    copies_across_classes,
    copies_across_splits,
    copies_within_splits,
    near_clusters,
    near_copies_across_classes,
    near_copies_across_splits,
)
from stages.prepare.folder_structure import FolderStructure
from stages.prepare.outliers import far_from_square, nearly_blank, rare_formats
from stages.prepare.parallel_decoding import UsableImage

LONG = {"crop": "mostly_cut_off_images", "pad": "mostly_padding_images", "squash": "much_stretched_images"}  # counted
MISPLACED = Unusable("misplaced", "not in a class folder")
LEFT_OUT = Unusable("excluded", "data.classes leaves its class out")
EXCLUDED = Unusable("excluded", "named in data.exclude")


@dataclass(frozen=True)
class Audit:
    """The images that are used, the notes on them, the files that are not used, and the number of each finding."""

    images: list[UsableImage]
    notes: list[tuple[str, str]]  # an image's name and one note on it
    quarantine: list[tuple[str, Unusable]]  # a file's name and why it is not used
    counts: dict[str, int]
    near: dict[str, int]  # a number for each image, by its name, the same for near copies of each other

    def notes_by_image(self) -> dict[str, str]:
        """Return all notes on an image in one text, by the image's name."""
        notes: dict[str, str] = {}
        for name, note in self.notes:
            notes[name] = f"{notes[name]}; {note}" if name in notes else note
        return notes


def audit_images(
    structure: FolderStructure,
    results: list[UsableImage | Unusable],
    data: Data,
    *,
    to_choose: set[str],
    fit: str,
) -> Audit:
    """Return which of the files that were read are used.

    `results` are in the order of the structure's candidates. `to_choose` are the splits that will be chosen later: if
    they are carved from train, an image of train has no split yet.
    Raises UserError if a limit is passed, a policy says `fail`, or a class folder is left empty.
    """
    pairs = list(zip(structure.candidates, results, strict=True))
    unusable = [(candidate.name, result) for candidate, result in pairs if isinstance(result, Unusable)]
    unusable += [(path, Unusable("no file", detail)) for path, detail in structure.without_file]
    refuse_too_many(unusable, len(pairs) + len(structure.without_file), data)
    images = [result for result in results if isinstance(result, UsableImage)]
    if to_choose and data.carve:
        images = [replace(image, split=None) if image.split == "train" else image for image in images]
    not_read = [(name, MISPLACED) for name in structure.strays] + [(name, LEFT_OUT) for name in structure.left_out]
    not_read += [(name, EXCLUDED) for name in structure.excluded]
    not_read += [(name, Unusable("no label", detail)) for name, detail in structure.unlabelled]
    notes = notes_on_files(images, structure.repeated)
    audit = Audit(images, notes, not_read + unusable, counts={}, near={})
    conflicts = [(i, structure.conflicts[i.candidate.name]) for i in images if i.candidate.name in structure.conflicts]
    conflicts += [(i, why) for i, why in copies_across_classes(images) if i.candidate.name not in structure.conflicts]
    audit = with_policy(audit, data.conflicts, "conflicting label", conflicts)
    audit = with_policy(audit, data.duplicates, "duplicate", copies_across_splits(audit.images))
    clusters = near_clusters(audit.images, data.near_distance)
    audit = replace(audit, near={i.candidate.name: int(n) for i, n in zip(audit.images, clusters, strict=True)})
    near = near_copies_across_splits(audit.images, clusters)
    audit = with_policy(audit, "keep", "near conflicting label", near_copies_across_classes(audit.images, clusters))
    audit = with_policy(audit, data.near_duplicates, "near duplicate", near)
    audit = with_notes(audit, "copies_within_a_split", copies_within_splits(audit.images))
    audit = with_notes(audit, "rare_format_images", rare_formats(audit.images))
    audit = with_notes(audit, "plain_images", nearly_blank(audit.images))
    audit = with_notes(audit, LONG[fit], far_from_square(audit.images, fit))
    refuse_divided_groups(audit.images)
    refuse_empty_folders(structure, audit)
    return audit


def notes_on_files(images: list[UsableImage], repeated: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the notes on files that do not hold what their name says, or more than one image, or have two rows."""
    notes = list(repeated)
    for image in images:
        if image.misnamed:
            notes.append((image.candidate.name, f"named {image.candidate.path.suffix}, holds {image.facts.format}"))
        if image.facts.animated:
            notes.append((image.candidate.name, "animated: the first frame is used"))
    return notes


def refuse_too_many(unusable: list[tuple[str, Unusable]], files: int, data: Data) -> None:
    """Raise UserError if too many files give no image."""
    if not unusable:
        return
    name, first = unusable[0]
    example = reason_in_words(name, first)
    if data.undecodable == "fail":
        raise UserError(f"{example} ({len(unusable)} such files): mend or remove it, or set data.undecodable to drop")
    if len(unusable) > data.max_unusable * files:
        raise UserError(
            f"{len(unusable)} of {files} files give no image, more than data.max_unusable = {data.max_unusable:g} "
            f"allows; the first is {example}"
        )


def reason_in_words(name: str, why: Unusable) -> str:
    """Return in one line why a file is not used; a row of a table without a path has no name."""
    reason = f"{why.reason}, {why.detail}"
    return f"{printable(name)}: {reason}" if name.strip() else reason


def with_policy(audit: Audit, policy: str, finding: str, findings: list[Finding]) -> Audit:
    """Return the audit after a policy is applied to the images of the findings. Raises UserError if it says `fail`."""
    counted = f"{finding.replace(' ', '_')}s"
    if findings and policy == "fail":
        image, detail = findings[0]
        raise UserError(
            f"{image.candidate.name}: {finding}: {detail} ({len(findings)} such images): mend it, or set the policy "
            f"in params.yaml's data to drop or keep"
        )
    if policy == "keep":
        return with_notes(audit, counted, [(image, f"{finding}: {detail}") for image, detail in findings])
    dropped = {image.candidate.name: Unusable(finding, detail) for image, detail in findings}
    return replace(
        audit,
        images=[image for image in audit.images if image.candidate.name not in dropped],
        quarantine=[*audit.quarantine, *dropped.items()],
        counts=audit.counts | {counted: len(findings)},
    )


def with_notes(audit: Audit, counted: str, findings: list[Finding]) -> Audit:
    """Return the audit with each finding as a note on its image, and their number as the count `counted`."""
    notes = [(image.candidate.name, note) for image, note in findings]
    return replace(audit, notes=audit.notes + notes, counts=audit.counts | {counted: len(findings)})


def refuse_divided_groups(images: list[UsableImage]) -> None:
    """Raise UserError if the data set itself divides a group between two splits."""
    for group in alike([image for image in images if image.candidate.group], lambda image: image.candidate.group):
        splits = {image.split: image.candidate.name for image in group if image.split}
        if len(splits) > 1:
            first, second = list(splits.values())[:2]
            raise UserError(
                f"data.groups: {first} and {second} are of one group, {group[0].candidate.group!r}, in two splits"
            )


def refuse_empty_folders(structure: FolderStructure, audit: Audit) -> None:
    """Raise UserError if no image of a class folder is used, in any split that came with the data."""
    used = Counter((image.candidate.split, image.candidate.class_name) for image in audit.images)
    for split, class_name in structure.folders:
        if not used[split, class_name]:
            folder = f"{split}/{class_name}" if split else class_name
            names = {c.name for c in structure.candidates if (c.split, c.class_name) == (split, class_name)}
            reasons = [f"; {reason_in_words(name, why)}" for name, why in audit.quarantine if name in names]
            if structure.table:
                where = f" in {split}" if split else ""
                raise UserError(
                    f"no image that {structure.table} labels {class_name!r}{where} is usable: add some, or leave the "
                    f"label out with data.classes{''.join(reasons[:1])}"
                )
            raise UserError(f"{folder} holds no usable image: add some, or remove the folder{''.join(reasons[:1])}")
