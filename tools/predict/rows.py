"""Write one row an image, as CSV, TSV, JSON or a table: its prediction, or the reason why it gave no image."""

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

from plumbline.classifier import Prediction
from plumbline.images.unreadable import Unreadable
from plumbline.run.errors import one_line

PAIR = ("predicted", "probability")
JUDGED = ("known", "p_known")
ABSTAINED, SET = "abstained", "set"  # columns that are asked for
SEPARATOR = "|"  # of the class names in a set, the likeliest first
IF_ANY = (*JUDGED, "reason", "detail")
YES_OR_NO = {True: "yes", False: "no", None: ""}  # None: nothing is said, as of known by a model that cannot tell
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")  # the last four are full width


@dataclass(frozen=True)
class Row:
    """The prediction for one file, or the reason why it gave no image."""

    path: str
    result: Prediction | Unreadable
    abstained: bool | None = None  # whether the likeliest class has too small a probability, where one was given


def printable(path: str) -> str:
    """Return a path as text: bytes of its name that are not UTF-8 as escapes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def columns(top: int, asked: Sequence[str] = ()) -> list[str]:
    """Return the names of the columns: the `top` likeliest classes with their probabilities, those asked for, whether
    the image is like those of training, and the reason."""
    pairs = ["predicted", "probability", *(f"{name}_{k}" for k in range(2, top + 1) for name in PAIR)]
    return ["path", *pairs, *asked, *JUDGED, "reason", "detail"]


def cells(row: Row, top: int, asked: Sequence[str] = ()) -> list[Any]:
    """Return a row's values, in the order of the columns."""
    if isinstance(row.result, Unreadable):
        return [printable(row.path), *[""] * (2 * top + len(asked) + len(JUDGED)), row.result.reason, str(row.result)]
    pairs = [value for pair in row.result.top(top) for value in pair]
    judged = [YES_OR_NO[row.result.known], "" if row.result.p_known is None else row.result.p_known]
    extra = {ABSTAINED: YES_OR_NO[row.abstained], SET: SEPARATOR.join(row.result.prediction_set or ())}
    return [printable(row.path), *pairs, *(extra[name] for name in asked), *judged, "", ""]


def inert(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: text that begins like one gets an apostrophe before it.

    Source: OWASP, "CSV Injection", https://owasp.org/www-community/attacks/CSV_Injection.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


class LineFeeds:
    """A file for Python's csv module, in which a row ends with a line feed, to be written with the row end END.

    The module quotes a field that has a character of the row end in it, and of a carriage return in a field without
    quotes every reader thinks that the row ends there.
    """

    END = "\r\n"

    def __init__(self, file: TextIO) -> None:
        self.file = file

    def write(self, row: str) -> int:
        """Write one row, as the module gives it."""
        return self.file.write(row.removesuffix(self.END) + "\n")


def write_csv(
    rows: Iterable[Row],
    file: TextIO,
    top: int,
    *,
    asked: Sequence[str] = (),
    delimiter: str = ",",
    for_spreadsheet: bool = False,
) -> None:
    """Write the rows as CSV, each as soon as it is known."""
    writer = csv.writer(LineFeeds(file), delimiter=delimiter, lineterminator=LineFeeds.END)
    writer.writerow(columns(top, asked))
    for row in rows:
        values = cells(row, top, asked)
        writer.writerow(map(inert, values) if for_spreadsheet else values)


def described(row: Row, top: int) -> str:
    """Return a row as a JSON object in one line."""
    if isinstance(row.result, Unreadable):
        values = {"path": printable(row.path), "reason": row.result.reason, "detail": str(row.result)}
    else:
        likeliest = [{"class": name, "probability": share} for name, share in row.result.top(top)]
        values = {"path": printable(row.path), **dict(zip(PAIR, likeliest[0].values(), strict=True))}
        values |= {ABSTAINED: row.abstained} if row.abstained is not None else {}
        values |= {SET: row.result.prediction_set} if row.result.prediction_set is not None else {}
        values |= {"known": row.result.known, "p_known": row.result.p_known}
        values |= {"top": likeliest} if top > 1 else {}
    return json.dumps(values, ensure_ascii=False)


def write_json_lines(rows: Iterable[Row], file: TextIO, top: int, *, asked: Sequence[str] = ()) -> None:
    """Write the rows as JSON, one object a line, each as soon as it is known."""
    for row in rows:
        file.write(described(row, top) + "\n")


def write_json(rows: Iterable[Row], file: TextIO, top: int, *, asked: Sequence[str] = ()) -> None:
    """Write the rows as one JSON array, each as soon as it is known."""
    before = "[\n"
    for row in rows:
        file.write(before + described(row, top))
        before = ",\n"
    file.write("\n]\n")


def write_table(rows: Iterable[Row], file: TextIO, top: int, *, asked: Sequence[str] = ()) -> None:
    """Write the rows as a table for people, once all are known; some columns only where a row has something there."""
    from tabulate import tabulate  # imported only for people

    lines, names = [[shown(cell) for cell in cells(row, top, asked)] for row in rows], columns(top, asked)
    kept = [i for i, name in enumerate(names) if name not in IF_ANY or any(line[i] for line in lines)]
    lines, names = [[line[i] for i in kept] for line in lines], [names[i] for i in kept]
    file.write(tabulate(lines, names, tablefmt="plain", disable_numparse=True) + "\n")


def shown(cell: Any) -> str:
    """Return a cell as text; a probability below 1 is never rounded to 1."""
    return f"{min(cell, 0.9999) if cell < 1 else cell:.4f}" if isinstance(cell, float) else one_line(str(cell))


SPREADSHEETS = ("csv", "tsv")  # the formats that a spreadsheet opens
WRITERS = {
    "table": write_table,
    "csv": write_csv,
    "tsv": partial(write_csv, delimiter="\t"),
    "json": write_json,
    "jsonl": write_json_lines,
}
