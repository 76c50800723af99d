"""Read the tables in data/audit, which the prepare stage writes: the images that are used, and the quarantine."""

from pathlib import Path

import pandas as pd

FOLDER = Path("data/audit")


def read_images(folder: Path = FOLDER) -> pd.DataFrame:
    """Return one row a used image: split, path, width, height, format, mode, orientation, notes. Names stay text."""
    names = dict.fromkeys(("split", "path", "format", "mode", "notes"), str)
    return pd.read_csv(folder / "images.csv", dtype=names, keep_default_na=False)


def read_quarantine(folder: Path = FOLDER) -> pd.DataFrame:
    """Return one row a file that is not used: path, reason, detail."""
    return pd.read_csv(folder / "quarantine.csv", dtype=str, keep_default_na=False)
