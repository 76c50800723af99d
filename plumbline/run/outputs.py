"""Write outputs whole or not at all, and the same bytes for the same contents.

Everything is written beside its final place, under a `.partial` name, and moved there by a rename
when it is complete. What a killed run leaves behind is a `.partial`, which the next run overwrites, but for files whose
place the user has chosen.
"""

import json
import math
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from plumbline.run.errors import UserError

if TYPE_CHECKING:  # pandas takes half a second to import, which not all that write here need
    import pandas as pd

STEM_OF_PARTIAL = 50  # characters, of up to four bytes: a file's name has 255 at most


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, and put what was written at `path` if the block ends without an error.

    The partial file is a new one, never a link that lies there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last: matplotlib and others choose the format by it.
    partial = path.with_name(f"{path.stem}.partial{path.suffix}")
    partial.unlink(missing_ok=True)
    with moved_when_whole(partial, path):
        yield partial


@contextmanager
def whole_file_of_user(path: Path) -> Iterator[Path]:
    """Give a path to write to for a file whose place the user has chosen, among other files perhaps.

    As `whole_file`, but the partial file has a name that no other file has, a link stays and what it leads to is
    written, and a pipe or a device is written to as it is. Raises UserError where no file can be.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder: name a file to write to")
    if path.exists() and not path.is_file():
        yield path
        return
    path = path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{path} cannot be written: {path.parent} is no folder") from None
    start = path.stem[:STEM_OF_PARTIAL]
    partial = path.with_name(f"{start}.{secrets.token_hex(8)}.partial{path.suffix}")
    with moved_when_whole(partial, path):
        yield partial


@contextmanager
def moved_when_whole(partial: Path, path: Path) -> Iterator[None]:
    """Make an empty file, and move it to its place if the block ends without an error, or else remove it."""
    partial.touch(exist_ok=False)
    try:
        yield
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
