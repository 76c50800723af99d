"""Write outputs whole or not at all, and the same bytes for the same contents.

Everything is written beside its final place, under a `.partial` name, and moved there by a rename
when it is complete. What a killed run leaves behind is a `.partial`, which the next run overwrites.
"""

import json
import math
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # pandas takes half a second to import, which not all that write here need
    import pandas as pd


@contextmanager
def whole_file(path: Path, *, among_others: bool = False) -> Iterator[Path]:
    """Give a path to write to, and put what was written at `path` if the block ends without an error.

    The partial file is a new one, never a link that lies there. `among_others` is for a folder of the user's: the
    partial file has a name that no other file has, where else it takes the place of what a killed run has left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: matplotlib and others choose the format by it.
    middle = f"{secrets.token_hex(8)}.partial" if among_others else "partial"
    partial = path.with_name(f"{path.stem}.{middle}{path.suffix}")
    if not among_others:
        partial.unlink(missing_ok=True)
    partial.touch(exist_ok=False)
    try:
        yield partial
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and put it at `path` if the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    former = path.with_name(f"{path.name}.former.partial")
    remove(partial)
    partial.mkdir()
    try:
        yield partial
        if path.exists():  # DVC has removed it before it runs a stage; a run by hand has not
            shutil.rmtree(former, ignore_errors=True)
            path.replace(former)  # whole as it is: to remove it in place could be cut short
        partial.replace(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def remove(folder: Path) -> None:
    """Remove what lies at a folder's place; of a link the link alone."""
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def write_json(path: Path, values: Mapping[str, int | float | str]) -> None:
    """Write flat, finite scalars as JSON, in the order given."""
    for key, value in values.items():
        assert isinstance(value, (int, str)) or math.isfinite(value), f"{path}: {key} is {value}"
    with whole_file(path) as partial:
        partial.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as CSV: UTF-8, no index, the shortest digits that give back the same float64."""
    with whole_file(path) as partial:
        table.to_csv(partial, index=False, lineterminator="\n", encoding="utf-8")
