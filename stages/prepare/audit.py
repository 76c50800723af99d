"""Decide which images are used: within the limits and by the policies that params.yaml sets.

A policy says what becomes of a finding: `keep` notes it in the audit's images.csv, `drop` sets the image aside in the
quarantine, `fail` ends the stage.
"""

from collections import Counter
from dataclasses import dataclass, field

from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.decoding import Unusable, printable
from stages.prepare.duplicates import (
    Finding,
    alike,
    copies_across_classes,
    copies_across_splits,
    near_clusters,
    near_copies_across_classes,
    near_copies_across_splits,
)
from stages.prepare.layout import Layout
from stages.prepare.oddities import note_oddities
from stages.prepare.reading import UsableImage

MISPLACED = Unusable("misplaced", "not in a class folder")
LEFT_OUT = Unusable("excluded", "data.classes leaves its class out")
EXCLUDED = Unusable("excluded", "named in data.exclude")


@dataclass
class Audit:
    """The images that are used, the files that are set aside, and how often each finding was made."""

    images: list[UsableImage]
    set_aside: list[tuple[str, Unusable]]
    counts: dict[str, int] = field(default_factory=dict)


def audited(layout: Layout, results: list[UsableImage | Unusable], data: Data, chosen: set[str]) -> Audit:
    """Return which of the files that were read are used.

    `results` belong to the layout's candidates; `chosen` are the splits that will be chosen later on.
    Raises UserError where a limit is passed, a policy says `fail`, or a class folder is left empty.
    """
    pairs = list(zip(layout.candidates, results, strict=True))
    unusable = [(candidate.name, result) for candidate, result in pairs if isinstance(result, Unusable)]
    refuse_too_many(unusable, len(pairs), data)
    images = [result for result in results if isinstance(result, UsableImage)]
    for image in images:
        if chosen and image.split in (None, "train"):
            image.split = None
        image.notes += notes_of_file(image)
    strays = [(name, MISPLACED) for name in layout.strays] + [(name, LEFT_OUT) for name in layout.left_out]
    strays += [(name, EXCLUDED) for name in layout.excluded]
    audit = Audit(images, strays + unusable)
    settle(audit, data.conflicts, "conflicting label", copies_across_classes(audit.images))
    settle(audit, data.duplicates, "duplicate", copies_across_splits(audit.images))
    clusters = near_clusters(audit.images, data.near_distance)
    near = near_copies_across_splits(audit.images, clusters)
    settle(audit, "keep", "near conflicting label", near_copies_across_classes(audit.images, clusters))
    settle(audit, data.near_duplicates, "near duplicate", near)
    note_copies_within_splits(audit)
    audit.counts |= note_oddities(audit.images)
    refuse_divided_groups(audit.images)
    refuse_empty_folders(layout, audit)
    return audit


def notes_of_file(image: UsableImage) -> list[str]:
    """Return what is unusual about a file that is used all the same."""
    notes = []
    if image.misnamed:
        notes.append(f"named {image.candidate.path.suffix}, holds {image.facts.format}")
    if image.facts.animated:
        notes.append("animated: the first frame is used")
    return notes


def refuse_too_many(unusable: list[tuple[str, Unusable]], files: int, data: Data) -> None:
    """Refuse a data set of which too many files give no image."""
    if not unusable:
        return
    name, first = unusable[0]
    example = f"{printable(name)}: {first.reason}, {first.detail}"
    if data.undecodable == "fail":
        raise UserError(f"{example} ({len(unusable)} such files): mend or remove it, or set data.undecodable to drop")
    if len(unusable) > data.max_unusable * files:
        raise UserError(
            f"{len(unusable)} of {files} files give no image, more than data.max_unusable = {data.max_unusable:g} "
            f"allows; the first is {example}"
        )


def settle(audit: Audit, policy: str, finding: str, findings: list[Finding]) -> None:
    """Apply a policy to the images of which something was found."""
    audit.counts[f"{finding.replace(' ', '_')}s"] = len(findings)
    if findings and policy == "fail":
        image, detail = findings[0]
        raise UserError(
            f"{image.candidate.name}: {finding}: {detail} ({len(findings)} such images): mend it, or set the policy "
            f"in params.yaml's data to drop or keep"
        )
    if policy == "keep":
        for image, detail in findings:
            image.notes.append(f"{finding}: {detail}")
        return
    audit.set_aside += [(image.candidate.name, Unusable(finding, detail)) for image, detail in findings]
    dropped = {image.candidate.name for image, _ in findings}
    audit.images = [image for image in audit.images if image.candidate.name not in dropped]


def note_copies_within_splits(audit: Audit) -> None:
    """Note the copies of a file that stay in its split: they count more than once there."""
    copies = 0
    for group in alike(audit.images, lambda image: (image.split, image.facts.sha256)):
        copies += len(group) - 1
        for image in group[1:]:
            image.notes.append(f"copy of {group[0].candidate.name}")
    audit.counts["copies_within_a_split"] = copies


def refuse_divided_groups(images: list[UsableImage]) -> None:
    """Refuse a group that the data set itself divides between two splits."""
    for group in alike([image for image in images if image.candidate.group], lambda image: image.candidate.group):
        splits = {image.split: image.candidate.name for image in group if image.split}
        if len(splits) > 1:
            first, second = list(splits.values())[:2]
            raise UserError(
                f"data.groups: {first} and {second} are of one group, {group[0].candidate.group!r}, in two splits"
            )


def refuse_empty_folders(layout: Layout, audit: Audit) -> None:
    """Refuse a class folder of which no image is left, in any split that came with the data."""
    used = Counter((image.candidate.split, image.candidate.class_name) for image in audit.images)
    for split, class_name in layout.folders:
        if not used[split, class_name]:
            folder = f"{split}/{class_name}" if split else class_name
            names = {c.name for c in layout.candidates if (c.split, c.class_name) == (split, class_name)}
            reasons = [
                f"; {printable(name)}: {why.reason}, {why.detail}" for name, why in audit.set_aside if name in names
            ]
            raise UserError(f"{folder} holds no usable image: add some, or remove the folder{''.join(reasons[:1])}")
