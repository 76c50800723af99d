"""Read plots/predictions.csv, which the evaluate stage writes: one row an image."""

from pathlib import Path
from typing import TextIO

import pandas as pd

from plumbline.run.paths import PREDICTIONS

NAMES = ("split", "path", "actual", "predicted", "sha256")


def read_predictions(source: Path | TextIO = PREDICTIONS) -> pd.DataFrame:
    """Return the rows; names stay text, also `007`, `NA` and `null`."""
    return pd.read_csv(source, dtype=dict.fromkeys(NAMES, str), keep_default_na=False)
