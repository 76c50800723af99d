"""Extract .zip and .tar archives of images from untrusted sources.

All entries are checked before anything is written: no path that leads out of the folder, no link, no two entries of one
name, no encryption, no decompression bomb.
"""

import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from plumbline.run.errors import UserError

# Photographs are compressed already. Only a decompression bomb unpacks to many times its size.
MAX_RATIO = 200
MAX_UNPACKED = 2**40  # bytes
SMALL = 2**24  # bytes; below, any ratio is allowed: a folder of blank images may have a large one


@dataclass(frozen=True)
class Entry:
    """A file in an archive, and the path to which it is extracted."""

    path: PurePosixPath
    size: int  # bytes, unpacked
    member: zipfile.ZipInfo | tarfile.TarInfo


def extract(archive: Path, folder: Path) -> None:
    """Extract a .zip or .tar archive, compressed or not, into a new folder.

    Raises UserError if an entry is unsafe or damaged. Nothing is written outside of the folder in any case.
    """
    folder.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened_zip:
                for entry in safe_entries(archive, zip_entries(archive, opened_zip)):
                    with opened_zip.open(entry.member) as source:
                        write_entry(folder, entry, source)
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as opened_tar:
                for entry in safe_entries(archive, tar_entries(archive, opened_tar)):
                    write_entry(folder, entry, opened_tar.extractfile(entry.member))
                while opened_tar.fileobj.read(2**20):  # gzip's checksum stands at the end, which tar does not read
                    pass
        else:
            raise UserError(f"{archive} is neither a folder nor a whole .zip, .tar or .tar.gz archive")
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise UserError(f"the archive {archive} is damaged: {error}") from None
    except OSError as error:
        if error.errno is not None:  # of the file system; gzip's and bzip2's own have none
            raise
        raise UserError(f"the archive {archive} is damaged: {error}") from None


def zip_entries(archive: Path, opened_zip: zipfile.ZipFile) -> Iterator[Entry]:
    """Yield the files of a zip archive."""
    for member in opened_zip.infolist():
        if member.flag_bits & 0x1:
            raise refused(archive, member.filename, "is encrypted")
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode):
            raise refused(archive, member.filename, "is a link")
        if not member.is_dir():
            yield Entry(safe_path(archive, zip_name(archive, member)), member.file_size, member)


def zip_name(archive: Path, member: zipfile.ZipInfo) -> str:
    """Return a zip entry's name; without the UTF-8 flag, zipfile has read it as code page 437."""
    name = member.orig_filename
    if member.flag_bits & 0x800 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        raise refused(archive, name, "has a name that is not UTF-8") from None


def tar_entries(archive: Path, opened_tar: tarfile.TarFile) -> Iterator[Entry]:
    """Yield the files of a tar archive."""
    for member in opened_tar:
        if member.issym() or member.islnk():
            raise refused(archive, member.name, "is a link")
        if not member.isdir():
            if not member.isfile():
                raise refused(archive, member.name, "is neither a file nor a folder")
            yield Entry(safe_path(archive, member.name), member.size, member)


def safe_path(archive: Path, name: str) -> PurePosixPath:
    """Return the path of an entry in the folder to which it is extracted. Raises UserError if it leads out of it."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise refused(archive, name, "has a name that is not UTF-8") from None
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or (path.parts and path.parts[0].endswith(":")):
        raise refused(archive, name, "has an absolute path, or one of Windows")
    if ".." in path.parts or "\0" in name or not path.parts:
        raise refused(archive, name, "has a path that climbs out of the archive")
    return path


def safe_entries(archive: Path, entries: Iterator[Entry]) -> list[Entry]:
    """Return all entries. Raises UserError if two have one path, or if they unpack to too much."""
    packed, total, seen, safe = archive.stat().st_size, 0, set(), []
    for entry in entries:
        if entry.path in seen:
            raise refused(archive, str(entry.path), "is there twice")
        seen.add(entry.path)
        total += entry.size
        if total > MAX_UNPACKED or total > max(SMALL, MAX_RATIO * packed):
            raise refused(
                archive, str(entry.path), f"unpacks the archive of {packed:,} bytes to at least {total:,}: a bomb"
            )
        safe.append(entry)
    for path in seen:
        if not seen.isdisjoint(path.parents):
            raise refused(archive, str(path), "lies in a file")
    return safe


def refused(archive: Path, name: str, why: str) -> UserError:
    """Return the error for an entry that is not safe."""
    return UserError(f"the archive {archive} is refused: its entry {name!r} {why}; pack it anew without")


def write_entry(folder: Path, entry: Entry, source) -> None:
    """Write one entry into the folder."""
    target = folder / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(source, file)
