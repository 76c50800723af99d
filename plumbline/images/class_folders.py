"""Find the files of a data set that has one folder a class.

Hidden files and the files that macOS adds to archives are skipped. A link to a folder is an error, because DVC leaves
such links out without a message.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from plumbline.run.errors import UserError


def class_folders(folder: Path) -> list[str]:
    """Return the names of the class folders, sorted as torchvision's ImageFolder sorts them."""
    return [entry.name for entry in visible(folder) if entry.is_dir()]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield all files below a folder, at any depth, sorted by name."""
    for entry in visible(folder):
        if entry.is_dir():
            yield from files_below(Path(entry.path))
        else:
            yield Path(entry.path)


def visible(folder: Path) -> list[os.DirEntry]:
    """Return the entries of a folder, sorted by name. Raises UserError for a link to a folder."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            raise UserError(
                f"{entry.path} is a link to a folder, which DVC does not follow: put the folder itself there"
            )
    return sorted(entries, key=lambda entry: entry.name)
