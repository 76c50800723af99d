"""Read data/audit, which the prepare stage writes: how images are stored, the files that are not used, the counts."""

from pathlib import Path

import numpy as np
import pandas as pd

from plumbline.results.tables import read_table
from plumbline.run.paths import AUDIT, CLUSTERS


def read_images(folder: Path = AUDIT) -> pd.DataFrame:
    """Return one row a used image: split, path, width, height, format, mode, orientation, captured, group, notes.

    Names stay text. `captured` is EXIF's date, `group` what data.groups or the table of labels says, both may be empty.
    """
    return read_table(folder / "images.csv")


def read_quarantine(folder: Path = AUDIT) -> pd.DataFrame:
    """Return one row a file that is not used: path, reason, detail."""
    return read_table(folder / "quarantine.csv")


def read_counts(folder: Path = AUDIT) -> dict[str, int]:
    """Return the number of images, or of files, by what was found."""
    table = read_table(folder / "counts.csv")
    return dict(zip(table["finding"], table["count"].tolist(), strict=True))


def read_clusters(path: Path = CLUSTERS) -> dict[str, np.ndarray]:
    """Return by split, in the manifest's order, a number for each image (N,), the same for those that belong together.

    These are copies, near copies, and images of one of `data.groups`, also through others and across splits.
    """
    table = read_table(path, columns=("split", "path", "cluster"))
    return {split: rows["cluster"].to_numpy() for split, rows in table.groupby("split", sort=False)}
