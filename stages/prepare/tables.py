"""Make the two tables of what prepare wrote and what it did not: the manifest and the quarantine."""

import pandas as pd

from stages.prepare.decoding import Unusable, printable
from stages.prepare.reading import UsableImage

MANIFEST_COLUMNS = [
    "split", "index", "path", "label", "class", "sha256", "width", "height", "format", "mode", "orientation", "notes",
]  # fmt: skip
QUARANTINE_COLUMNS = ["path", "reason", "detail"]


def manifest_table(splits: dict[str, list[UsableImage]], classes: list[str]) -> pd.DataFrame:
    """Return the manifest: one row an image, in the order of the arrays."""
    rows = [
        {
            "split": split,
            "index": index,
            "path": image.candidate.name,
            "label": classes.index(image.candidate.class_name),
            "class": image.candidate.class_name,
            "sha256": image.facts.sha256,
            "width": image.facts.width,
            "height": image.facts.height,
            "format": image.facts.format,
            "mode": image.facts.mode,
            "orientation": image.facts.orientation,
            "notes": "; ".join(image.notes),
        }
        for split, images in splits.items()
        for index, image in enumerate(images)
    ]
    return pd.DataFrame(rows, columns=MANIFEST_COLUMNS)


def quarantine_table(set_aside: list[tuple[str, Unusable]]) -> pd.DataFrame:
    """Return the quarantine: one row a file, by path."""
    rows = sorted((printable(name), why.reason, why.detail) for name, why in set_aside)
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)
