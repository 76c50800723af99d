"""Find what is to be classified: files, folders, patterns, archives, and lists of them on standard input."""

import codecs
import errno
import glob
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from plumbline.images.archives import extract
from plumbline.images.class_folders import left_by_programs
from plumbline.run.errors import UserError

LIST = "-"
ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True)
class Source:
    """A path that may or may not be a readable image; decoding it shows that."""

    name: str  # as given, or below what was given
    path: Path
    refused: str = ""  # why an archive in a list was not extracted


def find_sources(given: list[str], scratch: Path, *, null: bool) -> list[Source]:
    """Return all files that the arguments name, in their order; archives are extracted below `scratch`.

    Raises UserError for an argument that names nothing. In a list a missing file, a folder that may not be read and a
    damaged archive are sources all the same, because one bad line should not end a long run.
    """
    sources: list[Source] = []
    for argument in given:
        if argument == LIST:
            for name in listed(null=null):
                sources += sources_of_line(name, scratch)
        else:
            for path in named(argument):
                sources += sources_of(path, scratch)
    if not sources:
        raise UserError(f"{' '.join(given)} holds no files: name images, folders or archives of them")
    return sources


def listed(*, null: bool) -> list[str]:
    """Return the names on standard input, one a line; with `null` each ends with a zero byte, as from find -print0.

    A list may begin with a byte-order mark: UTF-8 or UTF-16, as Windows writes them.
    """
    contents = sys.stdin.buffer.read()
    if contents.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            contents = contents.decode("utf-16").encode()
        except UnicodeDecodeError:
            raise UserError("the list on standard input begins as UTF-16 and is not: write it in UTF-8") from None
    contents = contents.removeprefix(codecs.BOM_UTF8)
    if b"\0" in contents and not null:
        raise UserError("the list on standard input has zero bytes in it: give --null, as for find -print0")
    # Not splitlines(), for which a carriage return within a name ends it.
    names = contents.split(b"\0") if null else [line.removesuffix(b"\r") for line in contents.split(b"\n")]
    return [os.fsdecode(name) for name in names if name]


def named(argument: str) -> list[Path]:
    """Return the argument as a path if it exists, else the paths that match it as a pattern."""
    try:
        os.lstat(argument)
        return [Path(argument)]
    except PermissionError:  # which is not to be called missing
        raise
    except OSError:
        pass
    if not glob.has_magic(argument):
        raise UserError(f"there is no file or folder {argument}: name images, folders, archives or patterns")
    matches = sorted(glob.glob(argument, recursive=True))
    if not matches:
        raise UserError(f"no file matches {argument}")
    if "**" in argument:  # which matches a folder and all that it holds
        matches = [match for match in matches if not Path(match).is_dir()]
    return [Path(match) for match in matches]


def sources_of_line(name: str, scratch: Path) -> list[Source]:
    """Return what a name in a list gives; a source with the reason, where that is nothing."""
    try:
        return sources_of(Path(name), scratch)
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.ENAMETOOLONG):
            raise
        return [Source(name, Path(name))]
    except UserError as error:
        return [Source(name, Path(name), str(error))]


def sources_of(path: Path, scratch: Path) -> list[Source]:
    """Return the path itself, or the files below a folder or in an archive."""
    if path.is_dir():
        os.scandir(path).close()  # a folder given by the user that cannot be read is an error, not a row
        return [Source(str(file), file) for file in files_below(path)]
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        folder = scratch / str(len(list(scratch.iterdir())))
        extract(path, folder)
        return [Source(str(path / file.relative_to(folder)), file) for file in files_below(folder)]
    return [Source(str(path), path)]


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder in order, without hidden files and those that programs leave.

    A folder that cannot be listed, and a link to a folder, which could be a cycle, are yielded like files.
    """
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        yield folder
        return
    for entry in entries:
        if left_by_programs(entry.name):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from files_below(Path(entry.path))
        else:
            yield Path(entry.path)
