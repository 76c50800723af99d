"""Extract .zip and .tar archives of images from untrusted sources.

All entries are checked before anything is written: no path that leads out of the folder, no link, no two entries of
one name, no encryption, no decompression bomb. The bytes that a tar unpacks to are counted as they are read.
"""

import bz2
import gzip
import io
import lzma
import shutil
import stat
import struct
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
SMALL = 2**24  # bytes; below, the ratio is no danger: a folder of blank images may have a large one
MAX_ENTRIES = 2_000_000
MAX_HEADER = 2**20  # bytes, of a tar entry's names and other facts
MAX_NAME, MAX_COMPONENT, MAX_DEPTH = 1000, 255, 50  # bytes, bytes, folders
# What the libraries' readers raise on damaged archives.
DAMAGED = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
    OverflowError,
)
TAR_COMPRESSIONS = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\x00": lzma.open}  # by a file's first bytes


@dataclass(frozen=True)
class Entry:
    """A file in an archive, and the path to which it is extracted."""

    path: PurePosixPath
    size: int  # bytes, unpacked
    member: zipfile.ZipInfo | tarfile.TarInfo


class BoundedReader(io.RawIOBase):
    """What a tar archive unpacks to, read only as far as it is no bomb."""

    def __init__(self, archive: Path) -> None:
        self.archive, self.packed = archive, archive.stat().st_size
        self.bound = min(MAX_UNPACKED, max(SMALL, MAX_RATIO * self.packed))
        self.position = 0
        with archive.open("rb") as file:
            start = file.read(6)
        opener = next((opener for magic, opener in TAR_COMPRESSIONS.items() if start.startswith(magic)), io.open)
        self.compressed = opener is not io.open
        self.unpacked = opener(archive, "rb")

    def read(self, size: int = -1) -> bytes:
        """Return at most so many bytes. Raises UserError for a bomb, and for more at once than a header may have."""
        if size < 0 or size > MAX_HEADER:
            raise UserError(
                f"the archive {self.archive} is refused: an entry has a header of {size:,} bytes; pack it anew"
            )
        contents = self.unpacked.read(size)
        self.position += len(contents)
        if self.position > self.bound:
            raise bomb(self.archive, self.packed, self.position)
        return contents

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, reading what lies before it."""
        assert whence == io.SEEK_SET
        if offset < 0:
            raise tarfile.ReadError("an entry lies before the beginning")
        if offset > self.bound:
            raise bomb(self.archive, self.packed, offset)
        self.position = self.unpacked.seek(offset)
        return self.position

    def tell(self) -> int:
        """Return the place."""
        return self.position

    def close(self) -> None:
        """Close the file."""
        self.unpacked.close()
        super().close()


def extract(archive: Path, folder: Path) -> None:
    """Extract a .zip or .tar archive, compressed or not, into a new folder.

    Raises UserError if an entry is unsafe or damaged. Nothing is written outside of the folder in any case.
    """
    folder.mkdir(parents=True)
    try:
        if zipfile.is_zipfile(archive):
            extract_zip(archive, folder)
        elif is_tar(archive):
            extract_tar(archive, folder)
        else:
            raise UserError(f"{archive} is neither a folder nor a whole .zip, .tar or .tar.gz archive")
    except UserError:
        raise
    except DAMAGED as error:
        raise UserError(f"the archive {archive} is damaged: {error}") from None
    except OSError as error:
        if error.errno is not None:  # of the file system; gzip's and bzip2's own have none
            raise
        raise UserError(f"the archive {archive} is damaged: {error}") from None


def extract_zip(archive: Path, folder: Path) -> None:
    """Extract a zip archive."""
    with zipfile.ZipFile(archive) as opened:
        for entry in safe_entries(archive, zip_entries(archive, opened)):
            with opened.open(entry.member) as source:
                write_entry(folder, entry, source)


def is_tar(archive: Path) -> bool:
    """Return whether a file begins as a tar archive does, compressed or not."""
    try:
        with BoundedReader(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r:"):
            return True
    except (tarfile.TarError, EOFError, lzma.LZMAError, gzip.BadGzipFile):
        return False


def extract_tar(archive: Path, folder: Path) -> None:
    """Extract a tar archive."""
    with BoundedReader(archive) as unpacked, tarfile.open(fileobj=unpacked, mode="r:") as opened:
        for entry in safe_entries(archive, tar_entries(archive, opened)):
            write_entry(folder, entry, opened.extractfile(entry.member))
        while unpacked.compressed and unpacked.read(MAX_HEADER):  # tar does not read to the checksum at the end
            pass


def zip_entries(archive: Path, opened_zip: zipfile.ZipFile) -> Iterator[Entry]:
    """Yield the files of a zip archive."""
    for member in opened_zip.infolist():
        if not member.filename:  # empty, or empty before its first zero byte
            raise refused(archive, "", "has no name")
        if not 0 <= member.header_offset < archive.stat().st_size:
            raise refused(archive, member.filename, "lies outside of the archive")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refused(archive, member.filename, "is compressed by a method other than deflate")
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
        if member.size < 0 or member.issparse():
            raise refused(archive, member.name, "is sparse, or has a size below 0")
        if not member.isdir():
            if not member.isfile():
                raise refused(archive, member.name, "is neither a file nor a folder")
            yield Entry(safe_path(archive, member.name), member.size, member)


def safe_path(archive: Path, name: str) -> PurePosixPath:
    """Return the path of an entry in the folder to which it is extracted. Raises UserError if it leads out of it."""
    try:
        size = len(name.encode("utf-8"))
    except UnicodeEncodeError:
        raise refused(archive, name, "has a name that is not UTF-8") from None
    if size > MAX_NAME:
        raise refused(archive, f"{name[:40]}...", f"has a name of {size:,} bytes, more than {MAX_NAME:,}")
    path = PurePosixPath(name)
    if path.is_absolute() or "\\" in name or name[1:2] == ":":
        raise refused(archive, name, "has an absolute path, or one of Windows")
    if ".." in path.parts or "\0" in name or not path.parts:
        raise refused(archive, name, "has a path that climbs out of the archive")
    if len(path.parts) > MAX_DEPTH or max(len(part.encode("utf-8")) for part in path.parts) > MAX_COMPONENT:
        raise refused(
            archive, name, f"lies in more than {MAX_DEPTH} folders, or has a part of more than {MAX_COMPONENT} bytes"
        )
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
            raise bomb(archive, packed, total)
        safe.append(entry)
        if len(safe) > MAX_ENTRIES:
            raise UserError(
                f"the archive {archive} has more than {MAX_ENTRIES:,} entries: split it, or unpack it yourself"
            )
    for path in seen:
        if not seen.isdisjoint(path.parents):
            raise refused(archive, str(path), "lies in a file")
    return safe


def refused(archive: Path, name: str, why: str) -> UserError:
    """Return the error for an entry that is not safe."""
    return UserError(f"the archive {archive} is refused: its entry {name!r} {why}; pack it anew without")


def bomb(archive: Path, packed: int, unpacked: int) -> UserError:
    """Return the error for an archive that unpacks to too much."""
    return UserError(
        f"the archive {archive} of {packed:,} bytes is refused: it unpacks to at least {unpacked:,}, a bomb"
    )


def write_entry(folder: Path, entry: Entry, source) -> None:
    """Write one entry into the folder."""
    target = folder / entry.path
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as file:
        shutil.copyfileobj(source, file)
