"""Make the tables: the manifest of what is trained on and evaluated, and the audit of the files.

The manifest holds only what training follows from: what else the audit found may change and nothing is trained anew.
"""

import pandas as pd

from stages.prepare.decoding import Unusable, printable
from stages.prepare.reading import UsableImage

MANIFEST_COLUMNS = ["split", "index", "path", "label", "class", "sha256"]
IMAGE_COLUMNS = ["split", "path", "width", "height", "format", "mode", "orientation", "notes"]
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
        }
        for split, images in splits.items()
        for index, image in enumerate(images)
    ]
    return pd.DataFrame(rows, columns=MANIFEST_COLUMNS)


def images_table(splits: dict[str, list[UsableImage]]) -> pd.DataFrame:
    """Return how each used image is stored, and what was noted about it: one row an image, in the manifest's order."""
    rows = [
        {
            "split": split,
            "path": image.candidate.name,
            "width": image.facts.width,
            "height": image.facts.height,
            "format": image.facts.format,
            "mode": image.facts.mode,
            "orientation": image.facts.orientation,
            "notes": "; ".join(image.notes),
        }
        for split, images in splits.items()
        for image in images
    ]
    return pd.DataFrame(rows, columns=IMAGE_COLUMNS)


def quarantine_table(set_aside: list[tuple[str, Unusable]]) -> pd.DataFrame:
    """Return the quarantine: one row a file, by path."""
    rows = sorted((printable(name), why.reason, why.detail) for name, why in set_aside)
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)
