"""Read the manifest and the class names, which the prepare stage writes. `training.splits` reads the pixels."""

import json
from pathlib import Path

import pandas as pd

from plumbline.run.errors import UserError
from plumbline.run.paths import PREPARED

VALUE_RANGES = "value_ranges.json"
RESIZING = "resizing.json"  # where it is not the usual one
USUAL_RESIZING = {"fit": "crop", "interpolation": "bilinear"}
SPLITS = ("train", "val", "test")  # in this order in every table; a data set may lack test


def read_classes(folder: Path = PREPARED) -> list[str]:
    """Return the class names in label order."""
    try:
        return json.loads((folder / "classes.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"there is no {folder / 'classes.json'}: `dvc repro prepare` makes it") from None


def read_value_ranges(folder: Path = PREPARED) -> dict[str, list[float]] | None:
    """Return the values that were made black and white in images of more than 8 bits; None if there are none."""
    path = folder / VALUE_RANGES
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def read_resizing(folder: Path = PREPARED) -> dict[str, str]:
    """Return the fit and the interpolation with which images became squares."""
    path = folder / RESIZING
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else USUAL_RESIZING


def read_manifest(folder: Path = PREPARED) -> pd.DataFrame:
    """Return the manifest; names stay text, also `007`, `NA` and `null`."""
    return pd.read_csv(
        folder / "manifest.csv",
        dtype={"split": str, "path": str, "class": str, "sha256": str},
        keep_default_na=False,
    )
