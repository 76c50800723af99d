"""Find the files of a data set that is laid out as one folder a class.

Hidden files and what macOS adds to archives are passed over; links to folders are refused by name,
for DVC drops them without a word.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from plumbline.run.errors import UserError


def class_folders(folder: Path) -> list[str]:
    """Return the names of the class folders, sorted as torchvision's ImageFolder sorts them."""
    return [entry.name for entry in visible(folder) if entry.is_dir()]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, however deep, in order."""
    for entry in visible(folder):
        if entry.is_dir():
            yield from files_below(Path(entry.path))
        else:
            yield Path(entry.path)


def visible(folder: Path) -> list[os.DirEntry]:
    """Return the entries of a folder, in order. Raises UserError for a link to a folder."""
    with os.scandir(folder) as found:
        entries = [entry for entry in found if not entry.name.startswith(".") and entry.name != "__MACOSX"]
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            raise UserError(
                f"{entry.path} is a link to a folder, which DVC does not follow: put the folder itself there"
            )
    return sorted(entries, key=lambda entry: entry.name)
