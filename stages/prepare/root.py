"""Give the folder that `data.root` names, also where it is an archive, which is extracted and removed again."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.images.archives import extract
from plumbline.images.class_folders import visible
from plumbline.run.errors import UserError

EXTRACTED = Path("data/extracted.partial")


@contextmanager
def opened(root: Path) -> Iterator[Path]:
    """Give the folder that holds the images: `root` itself, or what the archive `root` holds.

    Of an archive, enclosing folders that hold nothing else are stepped into. Raises UserError, with
    nothing written outside and nothing left behind, if there is no such file or it is not safe to extract.
    """
    if root.is_dir():
        yield root
        return
    if not root.is_file():
        raise UserError(f"data.root: there is no folder or archive {root}: set it to one that holds your images")
    shutil.rmtree(EXTRACTED, ignore_errors=True)
    try:
        extract(root, EXTRACTED)
        yield innermost(EXTRACTED)
    finally:
        shutil.rmtree(EXTRACTED, ignore_errors=True)


def innermost(folder: Path) -> Path:
    """Step into folders that enclose everything else, but not into class folders or splits."""
    entries = visible(folder)
    while len(entries) == 1 and entries[0].is_dir() and any(entry.is_dir() for entry in visible(Path(entries[0].path))):
        folder = Path(entries[0].path)
        entries = visible(folder)
    return folder
