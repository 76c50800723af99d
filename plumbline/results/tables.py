"""Read the tables and metrics that stages write and Git or DVC holds: anybody may have changed them.

A number is a number there, and finite. What is not so is one line that names the file and the place.
"""

import json
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from plumbline.run.errors import UserError

METRICS = Path("metrics")
# The columns of all tables that hold text. All others hold numbers, or nothing.
TEXT = (
    "split", "measure", "path", "class", "actual", "predicted", "suggested", "sha256", "row", "method", "image",
    "saliency", "layer", "kind", "output_shape", "backward_pass", "step_size", "temperature", "file", "format", "mode",
    "notes", "reason", "detail", "finding", "slice", "nearest", "captured", "group",
)  # fmt: skip

# The columns of the tables under plots/ that are read. In some a row is certain, in others there may be none.
COLUMNS = {
    "history": ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"),
    "per_class": ("split", "class", "images", "precision", "recall", "f1"),
    "network_layers": ("layer", "kind", "parameters", "macs"),
    "cost_ratio": ("outputs_per_input", "ratio", "backward_pass"),
    "weight_decay": ("step", "step_size", "weight"),
    "slices": ("split", "slice", "images", "accuracy", "low", "high", "others_accuracy", "p", "holm_p"),
    "reliability": ("confidence", "accuracy", "images", "split", "temperature"),
    "exported_files": ("file", "bytes", "largest_difference", "same_class"),
    "roc": ("split", "class", "false_positive_rate", "true_positive_rate"),
    "precision_recall": ("split", "class", "recall", "precision"),
    "label_doubts": ("split", "path", "actual", "suggested", "probability_of_actual", "probability_of_suggested"),
    "similar_images": ("split", "path", "nearest", "similarity"),
}
MAY_BE_EMPTY = ("roc", "precision_recall", "label_doubts", "similar_images", "slices")


class Recorded(dict):
    """What a file holds by name. A name that is not there is the file's fault."""

    def __init__(self, values: dict[Hashable, Any], source: str) -> None:
        super().__init__(values)
        self.source = source

    def __missing__(self, key: Hashable) -> Any:
        name = key if isinstance(key, str) else " ".join(map(str, key))
        raise damaged(self.source, f"lacks {name}")


def damaged(source: object, what: str) -> UserError:
    """Return the error for a file that a stage wrote and something else has changed, or an older version wrote."""
    return UserError(f"{source} {what}: `git checkout` or `dvc checkout` restores the file, `dvc repro` writes it anew")


def read_metrics(stage: str) -> dict[str, float]:
    """Return what a stage measured. Raises UserError for a file that holds anything but finite numbers by name."""
    path = METRICS / f"{stage}.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # of JSON or UTF-8
        raise damaged(path, f"is no JSON ({error})") from None
    if not isinstance(values, dict):
        raise damaged(path, "does not hold numbers by their names")
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < float("inf"):
            raise damaged(path, f"has {str(value)[:40]!r} for {key}, which is no finite number")
    return Recorded(values, path.as_posix())


def read_table(source: Path | TextIO, name: object = None, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return a table; names stay text, also `007`, `NA` and `null`. `name` is that of an open file.

    Raises UserError for a file that is no table, has text for a number, or lacks one of the columns, by default
    those in COLUMNS, or the rows that it must have.
    """
    name = source if name is None else name
    try:
        table = pd.read_csv(source, dtype=dict.fromkeys(TEXT, str), keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise damaged(name, f"is no table ({error})") from None
    stem = source.stem if isinstance(source, Path) else ""
    for column in COLUMNS.get(stem, ()) if columns is None else columns:
        if column not in table:
            raise damaged(name, f"has no column {column}")
    if stem in COLUMNS and stem not in MAY_BE_EMPTY and table.empty:
        raise damaged(name, "has no row")
    for column, values in table.items():
        if column not in TEXT:
            numbers = values if is_numeric_dtype(values) else pd.to_numeric(values[values != ""], errors="coerce")
            wrong = values[numbers.index][~np.isfinite(numbers.to_numpy(float))]
            if len(wrong):
                where = f"line {wrong.index[0] + 2}, column {column}"
                raise damaged(name, f"has {str(wrong.iloc[0])[:40]!r} in {where}, which is no finite number")
            table[column] = numbers.reindex(values.index)  # NaN where there is nothing
    return table
