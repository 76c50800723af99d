"""Find the files of a data set that has one folder a class.

Hidden files, and those that operating systems and common programs leave in folders, are skipped. A link to a folder is
an error, because DVC leaves such links out without a message.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from plumbline.run.errors import UserError

# In lower case. Hidden ones, such as macOS's .DS_Store and ._*, and .picasa.ini, need no entry.
LEFT_BY_PROGRAMS = {
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin",
    "system volume information",  # Windows
    "__macosx", "icon\r", "network trash folder", "temporary items",  # macOS
    "lost+found",  # Linux
    "@eadir", "@tmp", "#recycle", "#snapshot", "@recycle",  # Synology and QNAP
    "picasa.ini", "zbthumbnail.info", "pspbrwse.jbf",  # Picasa, Canon, Paint Shop Pro
}  # fmt: skip


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
    with os.scandir(folder) as listing:
        entries = [entry for entry in listing if not left_by_programs(entry.name)]
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            raise UserError(
                f"{entry.path} is a link to a folder, which DVC does not follow: put the folder itself there"
            )
    return sorted(entries, key=lambda entry: entry.name)


def left_by_programs(name: str) -> bool:
    """Return whether a file or folder is hidden, or one that a program has left."""
    return name.startswith(".") or name.casefold() in LEFT_BY_PROGRAMS


def named_as_image(path: Path) -> bool:
    """Return whether a file has an image's suffix, or none."""
    return not path.suffix or path.suffix.lower() in Image.registered_extensions()


def relative(path: Path, root: Path) -> str:
    """Return a file's name relative to the data set, with forward slashes."""
    return path.relative_to(root).as_posix()
