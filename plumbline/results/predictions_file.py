"""Read plots/predictions.csv, which the evaluate stage writes: one row an image."""

from pathlib import Path
from typing import TextIO

import pandas as pd

from plumbline.results.tables import read_table
from plumbline.run.paths import PREDICTIONS

COLUMNS = ("split", "path", "actual", "predicted", "probability", "correct", "loss", "squared_error", "sha256")


def read_predictions(source: Path | TextIO = PREDICTIONS) -> pd.DataFrame:
    """Return the rows; names stay text, also `007`, `NA` and `null`. Raises UserError for a table of another form."""
    return read_table(source, PREDICTIONS, COLUMNS)
