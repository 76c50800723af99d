"""The images to look at first, each with all reasons why it is among them.

They come from the tables of `prepare` and `evaluate`, in the order of KINDS. Copies of a file are one image, and an
image with several reasons stands where the first of them puts it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.audit.tables import read_images, read_quarantine
from plumbline.data.prepared import read_manifest
from plumbline.presentation.percent import percent
from plumbline.results.predictions_file import read_predictions
from plumbline.results.tables import damaged, read_table
from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from plumbline.run.paths import AUDIT, PREDICTIONS
from stages.prepare.corrections import Correction
from stages.prepare.decoding import printable
from stages.prepare.folder_structure import FolderStructure

KINDS = {
    "doubt": "Label doubts",
    "conflict": "Conflicting labels",
    "near": "Copies in two splits",
    "similar": "Like a training image",
    "odd": "Odd images",
    "wrong": "Most wrong",
    "unsure": "Least sure",
    "before": "Corrected before",
}
DOUBTS = Path("plots/label_doubts.csv")
SIMILAR = Path("plots/similar_images.csv")
SURE = 0.9  # a likeliest class with this probability needs no second look
SET_ASIDE = {"conflicting label": "conflict", "duplicate": "near", "near duplicate": "near", "excluded": "before"}
COPY_IN_SPLIT = "copy of "  # how prepare's note begins on a copy that does no harm

Finding = tuple[str, str, str]  # the kind, an image's hash, and why in words


@dataclass
class Image:
    """A file to look at; its copies have the same hash."""

    sha256: str
    paths: list[str]
    split: str  # empty for a file that is not used
    labels: list[str]  # of its copies: several where they contradict each other
    place: int | Path  # the row in its split's array, or the file
    predicted: str | None = None
    probability: float | None = None
    loss: float = 0.0
    suggested: str | None = None  # by a model that was not trained on it; else by the one that was
    reasons: list[tuple[str, str]] = field(default_factory=list)  # kind, and why in words


def images_to_review(structure: FolderStructure | None, corrections: list[Correction], most: int) -> list[Image]:
    """Return the images, at most `most` of each kind. `structure` is the data set, if `files_are_needed`.

    Raises UserError for tables that are not there, or are of other images than data/prepared.
    """
    used = used_images()
    aside, findings_aside = (
        images_set_aside(structure, {correction.sha256 for correction in corrections}) if structure else ({}, [])
    )
    images, doubtful = aside | used, doubts(used)
    for row in doubtful.itertuples():
        images[row.sha256].suggested = row.suggested
    findings = [
        *(("doubt", row.sha256, reason_of_doubt(row)) for row in doubtful.itertuples()),
        *findings_aside,
        *notes(used),
        *similar(used),
        *(("wrong", image.sha256, f"The model says {image.predicted}.") for image in mistakes(used)),
        *(("unsure", image.sha256, f"The likeliest class has {percent(image.probability)}.") for image in unsure(used)),
        *(
            ("before", correction.sha256, f"Its correction: {correction.action}.")
            for correction in corrections
            if correction.sha256 in images
        ),
    ]
    chosen: dict[str, Image] = {}
    for kind in KINDS:
        of_kind = dict.fromkeys(sha256 for finding_kind, sha256, _ in findings if finding_kind == kind)
        chosen |= {sha256: images[sha256] for sha256 in list(of_kind)[:most] if sha256 not in chosen}
    for kind, sha256, why in findings:
        if sha256 in chosen and (kind, why) not in chosen[sha256].reasons:
            chosen[sha256].reasons.append((kind, why))
    return list(chosen.values())


def files_are_needed() -> bool:
    """Return whether prepare has set images aside that may be shown: their pixels are in no array."""
    return bool(read_quarantine()["reason"].isin(SET_ASIDE).any())


def used_images() -> dict[str, Image]:
    """Return the images of data/prepared by their hashes, with what the model says of each."""
    for path in (PREDICTIONS, DOUBTS, SIMILAR):
        if not path.exists():
            raise UserError(f"there is no {path}: `dvc repro evaluate` makes it")
    manifest, predictions = read_manifest(), read_predictions()
    keys = ["split", "path", "sha256"]
    table = manifest.merge(predictions, on=keys, how="left", validate="one_to_one")
    if len(table) != len(predictions) or table["predicted"].isna().any() or (table["class"] != table["actual"]).any():
        raise damaged(PREDICTIONS, "is of other images or labels than data/prepared")
    images: dict[str, Image] = {}
    for row in table.to_dict("records"):
        image = images.setdefault(row["sha256"], Image(row["sha256"], [], row["split"], [], row["index"]))
        image.paths.append(row["path"])
        if row["class"] not in image.labels:
            image.labels.append(row["class"])
        image.predicted, image.probability, image.loss = row["predicted"], row["probability"], row["loss"]
        image.suggested = image.predicted
    return images


def images_set_aside(structure: FolderStructure, corrected: set[str]) -> tuple[dict[str, Image], list[Finding]]:
    """Return the images that prepare has set aside and a person may bring back, and why it did so."""
    candidates = {printable(candidate.name): candidate for candidate in structure.candidates}
    images, findings = {}, []
    for row in read_quarantine().itertuples():
        kind, candidate = SET_ASIDE.get(row.reason), candidates.get(row.path)
        if kind is None or candidate is None:
            continue
        sha256 = sha256_of(candidate.path)
        if kind == "before" and sha256 not in corrected:  # named in data.exclude
            continue
        image = images.setdefault(sha256, Image(sha256, [], "", [], candidate.path))
        image.paths.append(row.path)
        if candidate.class_name not in image.labels:
            image.labels.append(candidate.class_name)
        if candidate.name in structure.conflicts:
            image.labels.append("")  # its rows give it others, too
        if kind != "before":
            findings.append((kind, sha256, f"Not used, {row.reason}: {row.detail}."))
    return images, findings


def doubts(images: dict[str, Image]) -> pd.DataFrame:
    """Return the label doubts of all splits, those with the least likely labels first, and their images' hashes."""
    table = read_table(DOUBTS).sort_values(["probability_of_actual", "path"], kind="stable")
    return table.assign(sha256=hashes_of(DOUBTS, table["path"], images))


def hashes_of(source: Path, paths: pd.Series, images: dict[str, Image]) -> list[str]:
    """Return the hashes of the images at these paths. Raises UserError for one that is not in data/prepared."""
    hashes = {path: sha256 for sha256, image in images.items() for path in image.paths}
    for path in paths:
        if path not in hashes:
            raise damaged(source, f"has {path}, which is not in data/prepared")
    return [hashes[path] for path in paths]


def reason_of_doubt(row: Any) -> str:
    """Return what a model that was not trained on the image says of it."""
    judge = "A probe that was not fitted on it" if row.split == "train" else "The model, which was not trained on it,"
    says = f"{judge} says {row.suggested} ({percent(row.probability_of_suggested)})"
    return f"{says}; the label has {percent(row.probability_of_actual)}."


def notes(images: dict[str, Image]) -> Iterator[Finding]:
    """Yield what the audit noted on images that are used."""
    by_path = {path: sha256 for sha256, image in images.items() for path in image.paths}
    table = read_images()
    if not set(table["path"]) <= by_path.keys():
        raise damaged(AUDIT / "images.csv", "is of other images than data/prepared")
    for path, text in table.loc[table["notes"] != "", ["path", "notes"]].itertuples(index=False):
        if "conflicting label: " in text:
            yield "conflict", by_path[path], f"Noted: {text}."
        elif "duplicate: " in text:
            yield "near", by_path[path], f"Noted: {text}."
        elif not text.startswith(COPY_IN_SPLIT):
            yield "odd", by_path[path], f"Noted: {text}."


def similar(images: dict[str, Image]) -> Iterator[Finding]:
    """Yield the images of val and test that look like one of train, and that one, those most alike first."""
    table = read_table(SIMILAR).sort_values(["similarity", "path"], ascending=[False, True], kind="stable")
    hashes, nearest = (hashes_of(SIMILAR, table[column], images) for column in ("path", "nearest"))
    for row, sha256, other in zip(table.itertuples(), hashes, nearest, strict=True):
        alike = f"Cosine similarity of the features {row.similarity:.3f}: perhaps a copy, perhaps merely similar."
        yield "similar", sha256, f"Looks like {row.nearest}, {' and '.join(images[other].labels)}. {alike}"
        yield "similar", other, f"{row.path}, {' and '.join(images[sha256].labels)}, looks like it. {alike}"


def mistakes(images: dict[str, Image]) -> list[Image]:
    """Return the images that the model takes for another class, those with the highest loss first."""
    wrong = [image for image in images.values() if image.predicted not in image.labels]
    return sorted(wrong, key=lambda image: (-image.loss, image.paths))


def unsure(images: dict[str, Image]) -> list[Image]:
    """Return the images of which the model is not sure, those with the least likely prediction first."""
    doubtful = [image for image in images.values() if image.probability < SURE]
    return sorted(doubtful, key=lambda image: (image.probability, image.paths))
