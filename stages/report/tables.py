"""Tables as the page prints them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from stages.report.numbers import shown

MOST_ROWS = 30


@dataclass(frozen=True)
class Table:
    """A table's title, columns and cells as text; a word on the rows that were left out."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    left_out: str = ""
    numeric: list[bool] = field(default_factory=list)  # by column


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], most: int = MOST_ROWS, *, measures: bool = False
) -> Table:
    """Return a table of at most so many rows, and say how many more there are.

    Columns of numbers are set as such; with `measures` all but the first, which hold a measure and its interval.
    """
    left_out = f"{len(rows) - most:,} more rows are left out." if len(rows) > most else ""
    numeric = [
        (measures and i > 0) or (all(isinstance(row[i], (int, float)) for row in rows) and bool(rows))
        for i in range(len(columns))
    ]
    return Table(title, list(columns), [[shown(cell) for cell in row] for row in rows[:most]], left_out, numeric)
