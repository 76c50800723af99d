"""Write and read plots/measures.csv: every measure of every split with its interval, one a row."""

import csv
import math
from pathlib import Path
from typing import NamedTuple, TextIO

from plumbline.run.outputs import whole_file
from plumbline.run.paths import MEASURES

COLUMNS = ("split", "measure", "value", "low", "high", "images")


class Measure(NamedTuple):
    """A number with the ends of its interval, where it has one; `images` is the size of what it was measured on."""

    value: float
    images: int
    low: float | None = None
    high: float | None = None


Measures = dict[tuple[str, str], Measure]  # by split and name


def write_measures(measures: Measures, path: Path = MEASURES) -> None:
    """Write the rows in the order given, with the shortest digits that give back the same float64."""
    for key, measure in measures.items():
        assert all(math.isfinite(number) for number in measure if number is not None), f"{path}: {key} is {measure}"
    with whole_file(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for (split, name), measure in measures.items():
            writer.writerow((split, name, measure.value, measure.low, measure.high, measure.images))


def read_measures(source: Path | TextIO = MEASURES) -> Measures:
    """Return the rows by split and name. Raises ValueError for a file of another form."""
    if isinstance(source, Path):
        with source.open(encoding="utf-8", newline="") as file:
            return read_measures(file)
    rows = csv.reader(source)
    if tuple(next(rows, ())) != COLUMNS:
        raise ValueError(f"the first line is not {','.join(COLUMNS)}")
    return {
        (split, name): Measure(float(value), int(images), float(low) if low else None, float(high) if high else None)
        for split, name, value, low, high, images in rows
    }
