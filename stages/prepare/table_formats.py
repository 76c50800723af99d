"""Read the rows of a table file as they stand: delimited text, JSON Lines, JSON, Parquet."""

import glob
import io
import json
import warnings
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.errors import EmptyDataError, ParserError, ParserWarning

from plumbline.run.errors import UserError

DELIMITERS = ",;\t|"
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
DUCKDB = {"threads": 1, "memory_limit": "1GB", "autoinstall_known_extensions": False}  # no network
NO_TEXT = ("array", "bit", "blob", "geometry", "list", "map", "struct", "union", "variant")
PANDAS_ROW_NUMBERS = "__index_level_"


def text_of(path: Path, shown: str) -> str:
    """Return the contents of a file, which is UTF-8, or says by its byte order mark that it is UTF-16."""
    contents = path.read_bytes()
    encoding = next((name for mark, name in BYTE_ORDER_MARKS.items() if contents.startswith(mark)), "utf-8")
    try:
        return contents.decode(encoding)
    except UnicodeDecodeError as error:
        line = contents[: error.start].count(b"\n") + 1
        wanted = encoding.removesuffix("-sig").upper()
        raise UserError(f"{shown} is not {wanted} text, first in line {line}: save it as UTF-8") from None


def delimited(shown: str, text: str) -> pd.DataFrame:
    """Return delimited text as it stands, without rows that have no value, as spreadsheets leave them at the end.

    The index is the row's number, from 1. The delimiter is the one that the header has most of.
    """
    header = text.lstrip("\r\n").partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    fields = f"fields are parted by {delimiter!r}, which in a value needs double quotes around it"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ParserWarning)  # where every row has more fields than the header
            table = pd.read_csv(
                io.StringIO(text),
                sep=delimiter,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skipinitialspace=True,
            )
    except ParserWarning:
        raise UserError(f"{shown}: its rows have more fields than its header ({fields})") from None
    except EmptyDataError:
        raise UserError(f"{shown} is empty: it should have a header, and a row for each image") from None
    except ParserError as error:
        why = " ".join(str(error).removeprefix("Error tokenizing data. C error: ").split())
        raise UserError(f"{shown}: {why} ({fields})") from None
    filled = table.fillna("").map(str.strip).ne("").any(axis=1)  # a short row lacks its last values
    return table.set_axis(range(1, len(table) + 1)).loc[filled.to_numpy(dtype=bool)]


def json_lines(shown: str, text: str) -> pd.DataFrame:
    """Return the record of each line that is not empty."""
    records = {
        number: parsed(f"{shown}, line {number}", line)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    }
    for number, record in records.items():
        if not isinstance(record, dict):
            raise UserError(f"{shown}, line {number}: should be a record in braces, and is {str(record)[:40]!r}")
    return pd.DataFrame(list(records.values()), index=list(records), dtype=object)


def parsed(where: str, text: str) -> Any:
    """Return parsed JSON, with every number as the text that stands there."""
    try:
        return json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise UserError(f"{where} is not valid JSON: {error}") from None
    except RecursionError:
        raise UserError(f"{where} is nested too deeply: it should hold records") from None


def parquet(path: Path, shown: str) -> pd.DataFrame:
    """Return the columns of a Parquet file, each value as the text that DuckDB writes for it.

    A null and a NaN are no value. Columns of bytes, lists or records, such as images within the table, are left out.
    """
    import duckdb  # a tenth of a second, for Parquet alone

    with duckdb.connect(config=DUCKDB) as connection:
        try:
            rows = connection.read_parquet(glob.escape(str(path)), hive_partitioning=False)
            kinds = dict(zip(rows.columns, (kind.id for kind in rows.types), strict=True))
            flat = [name for name in kinds if kinds[name] not in NO_TEXT and not name.startswith(PANDAS_ROW_NUMBERS)]
            if not flat:
                raise UserError(f"{shown} has no column of text, numbers or dates")
            records = rows.project(", ".join(as_text(name, kinds[name]) for name in flat)).fetchall()
        except (duckdb.Error, RuntimeError) as error:  # the latter where a name of a column is no Unicode
            why = str(error).partition("\n")[0].replace(str(path), shown)
            raise UserError(f"{shown} cannot be read as Parquet: {why}") from None
    return pd.DataFrame(records, columns=flat, index=range(1, len(records) + 1), dtype=object)


def as_text(name: str, kind: str) -> str:
    """Return the SQL for a column's values as text."""
    column = '"' + name.replace('"', '""') + '"'
    value = f"CASE WHEN NOT isnan({column}) THEN {column} END" if kind in ("float", "double") else column
    return f"CAST({value} AS VARCHAR) AS {column}"
