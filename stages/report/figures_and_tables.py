"""Figures and tables as the page holds them, and numbers as it prints them."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plumbline.presentation.percent import percent
from plumbline.run.paths import FIGURES

TYPES = {".svg": "image/svg+xml", ".jpg": "image/jpeg"}
MOST_ROWS = 30
NO_VALUE = "\N{EN DASH}"


@dataclass(frozen=True)
class Figure:
    """An image inside the page, with its caption and its alternative text."""

    source: str  # a data URI
    alt: str
    caption: str
    wide: bool = False  # too wide for a phone, where it scrolls
    tall: str | None = None  # another drawing, for a phone, as a data URI


@dataclass(frozen=True)
class Table:
    """A table's title, columns and cells as text, and how many rows are left out."""

    title: str
    columns: list[str]
    rows: list[list[str]]
    left_out: str = ""
    numeric: list[bool] = field(default_factory=list)  # by column
    measures: bool = False  # a name and numbers: on a phone the numbers stand below the name


def figure(name: str, caption: str, alt: str, *, wide: bool = False, tall: str | None = None) -> Figure:
    """Return a figure that the plot stage drew; `tall` names its drawing for a phone."""
    source, tall_source = (data_uri(FIGURES / f"{each}.svg") if each else None for each in (name, tall))
    return Figure(source, alt, caption, wide, tall_source)


def data_uri(path: Path) -> str:
    """Return an image file as a data URI."""
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], most: int = MOST_ROWS, *, measures: bool = False
) -> Table:
    """Return a table of at most `most` rows.

    Columns of numbers are aligned to the right; with `measures` all columns but the first are.
    """
    left_out = f"{len(rows) - most:,} more rows are left out." if len(rows) > most else ""
    numeric = [
        (measures and i > 0) or (all(isinstance(row[i], (int, float)) for row in rows) and bool(rows))
        for i in range(len(columns))
    ]
    return Table(
        title, list(columns), [[shown(cell) for cell in row] for row in rows[:most]], left_out, numeric, measures
    )


def shown(value: Any) -> str:
    """Return a value as text: counts with thousands separators, other numbers with four digits, no value as a dash."""
    if value is None or value == "":
        return NO_VALUE
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{int(value):,}" if value == int(value) and abs(value) >= 1000 else f"{value:.4g}"
    return str(value)


def interval(low: float, high: float) -> str:
    """Return an interval of shares in percent."""
    return f"{percent(low)} to {percent(high)}"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, in the plural unless it is 1."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
