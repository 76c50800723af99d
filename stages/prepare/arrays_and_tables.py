"""Write a split's pixels as an array; make the tables: the manifest, and the audit's images and quarantine.

The manifest holds only what the trained model depends on. The audit may change without a new training.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from stages.prepare.decoding import Unusable, printable
from stages.prepare.duplicates import tied
from stages.prepare.parallel_decoding import UsableImage
from stages.prepare.pixel_cache import Place

MANIFEST_COLUMNS = ["split", "index", "path", "label", "class", "sha256", "shorter_side"]
IMAGE_COLUMNS = ["split", "path", "width", "height", "format", "mode", "orientation", "captured", "group", "notes"]
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
            "shorter_side": min(image.facts.width, image.facts.height),
        }
        for split, images in splits.items()
        for index, image in enumerate(images)
    ]
    return pd.DataFrame(rows, columns=MANIFEST_COLUMNS)


def images_table(splits: dict[str, list[UsableImage]], notes: dict[str, str]) -> pd.DataFrame:
    """Return how each used image is stored, and the notes on it: one row an image, in the manifest's order."""
    rows = [
        {
            "split": split,
            "path": image.candidate.name,
            "width": image.facts.width,
            "height": image.facts.height,
            "format": image.facts.format,
            "mode": image.facts.mode,
            "orientation": image.facts.orientation,
            "captured": image.facts.captured,
            "group": printable(image.candidate.group or ""),
            "notes": notes.get(image.candidate.name, ""),
        }
        for split, images in splits.items()
        for image in images
    ]
    return pd.DataFrame(rows, columns=IMAGE_COLUMNS)


def quarantine_table(quarantine: list[tuple[str, Unusable]]) -> pd.DataFrame:
    """Return the quarantine: one row a file, by path."""
    rows = sorted((printable(name), why.reason, why.detail) for name, why in quarantine)
    return pd.DataFrame(rows, columns=QUARANTINE_COLUMNS)


def clusters_table(splits: dict[str, list[UsableImage]], near: Mapping[str, int]) -> pd.DataFrame:
    """Return the cluster of each used image, in the manifest's order; clusters are numbered as they come up."""
    images = [image for members in splits.values() for image in members]
    numbers = pd.factorize(tied(images, near))[0]
    rows = [(image.split, image.candidate.name) for image in images]
    return pd.DataFrame(rows, columns=["split", "path"]).assign(cluster=numbers)


def write_array(path: Path, pixels: list[Place], size: int) -> None:
    """Write images as a .npy file, uint8 (len(pixels), size, size, 3).

    Only one image is in memory. The file is not mapped, because mapped pages count as memory in use.
    """
    with path.open("wb") as target:
        header = {"descr": "|u1", "fortran_order": False, "shape": (len(pixels), size, size, 3)}
        np.lib.format.write_array_header_1_0(target, header)
        image = bytearray(size**2 * 3)  # reused: new memory for each image would take longer than the copy
        for place in pixels:
            place.read_into(image)
            target.write(image)
