"""Read a table of labels: for each row the path of an image, its label and, where given, its split and its group.

A table is delimited text (.csv, .tsv), JSON Lines, JSON (a list of records, or what Label Studio exports) or Parquet. A
value is the text that the file holds: `01`, `1.0`, `true`, `null` and `NA` are labels like any other.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.params.data import Columns
from plumbline.run.errors import UserError
from stages.prepare.class_names import nearest
from stages.prepare.table_formats import delimited, json_lines, parquet, parsed, text_of

ROLES = ("path", "label", "split", "group")
# In lower case, with _ for spaces and hyphens. Of two paths the first of these is taken: `id` often numbers the rows.
USUAL = {
    "path": ("filename", "file_name", "filepath", "path", "image_path", "image", "image_id", "id"),
    "label": ("label", "class", "target", "choice"),  # choice: Label Studio's
    "split": ("split", "set"),
    "group": ("group",),
}
TEXT_KINDS = (".csv", ".tsv")
JSON_WORDS = {True: "true", False: "false"}  # what is no text is one of these, or a value that is not there


def read_table(path: Path, shown: str, names: Columns) -> pd.DataFrame:
    """Return the rows as text, with the columns path, label, split and group, empty where the table has no value.

    The index is the row's number, from 1: of delimited text without its header, of JSON Lines the line, of JSON the
    record. `shown` is the table's name in messages.
    Raises UserError for a table that cannot be read, or whose columns are not known.
    """
    kind = path.suffix.lower()
    if kind not in (*TEXT_KINDS, ".jsonl", ".json", ".parquet"):
        raise UserError(f"{shown}: a table of labels is a .csv, .tsv, .jsonl, .json or .parquet: save it as one")
    if kind == ".parquet":
        return with_roles(shown, parquet(path, shown), names)
    text = text_of(path, shown)
    if kind in TEXT_KINDS:
        return with_roles(shown, delimited(shown, text), names)
    if kind == ".jsonl":
        return with_roles(shown, json_lines(shown, text), names)
    records = parsed(shown, text)
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise UserError(f"{shown} should hold a list of records, as Label Studio exports them")
    if records and all(isinstance(record.get("data"), dict) for record in records):
        return with_roles(shown, *label_studio(shown, records, names))
    return with_roles(shown, pd.DataFrame(records, index=range(1, len(records) + 1), dtype=object), names)


def label_studio(shown: str, tasks: Sequence[dict[str, Any]], names: Columns) -> tuple[pd.DataFrame, Columns]:
    """Return the data of each task of Label Studio's JSON export with its choice, and what the columns are called.

    A task has one row for each different choice of its annotations, and one without a label if it has none.
    Annotations that were cancelled, and predictions, do not count.
    Source: https://labelstud.io/guide/task_format
    """
    try:
        choices = [list(dict.fromkeys(choices_of(task))) for task in tasks]
    except (AttributeError, KeyError, TypeError):
        raise UserError(f"{shown} is not as Label Studio exports its tasks: export them anew as JSON") from None
    questions = sorted({question for task_choices in choices for question, _ in task_choices})
    question = names.label or (questions[0] if len(questions) == 1 else None)
    if question not in questions:
        available = f"has the choices {', '.join(map(repr, questions))}" if questions else "has no choices"
        raise UserError(f"{shown} {available}: name in data.columns.label those that are the labels")
    rows = [
        (number, task["data"] | {question: label})
        for number, (task, task_choices) in enumerate(zip(tasks, choices, strict=True), start=1)
        for label in [label for asked, label in task_choices if asked == question] or [""]
    ]
    table = pd.DataFrame([row for _, row in rows], index=[number for number, _ in rows], dtype=object)
    return table, names.model_copy(update={"label": question})


def choices_of(task: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each choice in the annotations of a task: what was asked, and what was chosen."""
    for annotation in task["annotations"]:
        if not annotation.get("was_cancelled"):
            for result in annotation["result"]:
                if result["type"] == "choices":
                    yield from ((result["from_name"], choice) for choice in result["value"]["choices"])


def with_roles(shown: str, table: pd.DataFrame, names: Columns) -> pd.DataFrame:
    """Return the columns that say the path, label, split and group of each row, under these names, as text."""
    if table.columns.empty:
        raise UserError(f"{shown} is empty: it should have a row for each image")
    table.columns = [str(name).strip() for name in table.columns]
    columns = {role: column_of(shown, table.columns, role, getattr(names, role)) for role in ("path", "split", "group")}
    rest = [name for name in table.columns if name not in columns.values()]
    columns["label"] = column_of(shown, rest, "label", names.label)
    for role in ("path", "label"):
        if columns[role] is None:
            raise UserError(
                f"{shown} has the columns {', '.join(map(repr, table.columns))}, of which none is known as the {role}: "
                f"name it in data.columns.{role}, or add a header with {USUAL[role][0]!r}"
            )
    return pd.DataFrame(
        {role: "" if columns[role] is None else texts(shown, table[columns[role]], role) for role in ROLES},
        index=table.index,
    )


def column_of(shown: str, columns: Iterable[str], role: str, given: str | None) -> str | None:
    """Return the name of the column with this role: the one given, or the one that is usually called so.

    The only column that is left is the label, whatever its name.
    """
    columns = list(columns)
    if given is not None:
        if given not in columns:
            hint = nearest(given, columns, f"it has {', '.join(map(repr, columns))}")
            raise UserError(f"data.columns.{role} names {given!r}, which {shown} does not have; {hint}")
        return given
    plain = {name: name.lower().replace(" ", "_").replace("-", "_") for name in columns}
    usual = [name for wanted in USUAL[role] for name in columns if plain[name] == wanted]
    if len(usual) > 1 and role != "path":
        raise UserError(f"{shown} has the columns {', '.join(map(repr, usual))}: name one in data.columns.{role}")
    if not usual and role == "label" and len(columns) == 1:
        return columns[0]
    return usual[0] if usual else None


def texts(shown: str, column: pd.Series, role: str) -> list[str]:
    """Return a column as text. Raises UserError for a list or a record, which JSON may hold."""
    values = column.tolist()
    for number, value in zip(column.index, values, strict=True):
        if isinstance(value, list | dict):
            raise UserError(f"{shown}, row {number}: its {role} is {str(value)[:60]}: it should be one text")
    return [value if isinstance(value, str) else JSON_WORDS.get(value, "") for value in values]
