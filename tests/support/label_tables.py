"""Tables of labels, written by what does not read them, and the labels that came of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import duckdb

from tests.conftest import write_image
from tests.stages.prepare.conftest import manifest

Rows = Sequence[Sequence[str]]


def write_table(path: str, header: str, rows: Rows, **dialect: object) -> None:
    """Write a table as Python's csv module does, which is not what reads it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **dialect).writerows([header.split(","), *rows])


def write_parquet(path: str, header: Sequence[str], rows: Rows) -> None:
    """Write a table of texts as DuckDB does."""
    with duckdb.connect() as connection:
        connection.execute(f"CREATE TABLE t ({', '.join(f'{name} VARCHAR' for name in header)})")
        connection.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(header))})", rows)
        connection.table("t").write_parquet(path)


def labels() -> dict[str, str]:
    """The class of each image that is used, by path."""
    return dict(zip(manifest()["path"], manifest()["class"], strict=True))


def rows_of(root: Path) -> list[list[str]]:
    """The path, the class and the split of each image in folders."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    return [[path, path.split("/")[1], path.split("/")[0]] for path in paths]


HEADER = "path,label,split"


def write_images(*paths: str) -> None:
    """Write different images below images/."""
    for number, path in enumerate(paths):
        write_image(Path("images", path), seed=number)
