"""Write and read plots/measures.csv: every measure of every split with its interval, one a row."""

import csv
import math
from pathlib import Path
from typing import NamedTuple, TextIO

from plumbline.results.tables import Recorded, damaged
from plumbline.run.errors import UserError
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
    """Return the rows by split and name. Raises UserError for a file of another form."""
    if isinstance(source, Path):
        with source.open(encoding="utf-8", newline="") as file:
            return read_measures(file)
    rows = csv.reader(source)
    try:
        if tuple(next(rows, ())) != COLUMNS:
            raise damaged(MEASURES, f"does not begin with {','.join(COLUMNS)}")
        return Recorded({(split, name): measure_of(*values) for split, name, *values in rows}, MEASURES.as_posix())
    except UserError:
        raise
    except (ValueError, TypeError, csv.Error) as error:
        raise damaged(MEASURES, f"is no table of measures (line {rows.line_num}: {error})") from None


def measure_of(value: str, low: str, high: str, images: str) -> Measure:
    """Return a row's measure. Raises ValueError for text that is no finite number."""
    measure = Measure(float(value), int(images), float(low) if low else None, float(high) if high else None)
    if not all(math.isfinite(number) for number in measure if number is not None):
        raise ValueError("a number is not finite")
    if (measure.low is None) != (measure.high is None):
        raise ValueError("an interval has one end alone")
    return measure
