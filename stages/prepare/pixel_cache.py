"""Keep decoded images from run to run, by the sha256 of their files, so that a run decodes only the images it lacks.

A run writes what it decodes into a new segment: a file of pixels, one row an image, and a file of facts, one line an
image, which is added when the image's row is complete. So the next run finds the images of a run that was killed.
The cache lies outside of DVC's outputs, has a limit in bytes, and may be deleted at any time. If anything in it is
damaged or missing, an image is decoded again. benchmarks/README.md says why it is not LMDB.
"""

import errno
import io
import json
import os
import tempfile
import zlib
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from stages.prepare.decoding import Facts

try:
    import fcntl
except ImportError:  # on Windows, where a file that is open cannot be removed
    fcntl = None

MAX_SEGMENTS = 64  # if there are more, the smallest are removed
DIGITS = 64  # of the sha256 at the start of each line of facts


def cache_folder() -> Path:
    """Return the cache's folder as an absolute path, for the worker processes.

    In `dvc exp run --temp` and in the queue it is in the repository they belong to, which DVC_ROOT names.
    """
    return Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".cache" / "prepare"


@dataclass(frozen=True, slots=True)
class Place:
    """The file and the offset at which an image's pixels begin."""

    file: io.FileIO
    offset: int  # bytes

    def read_into(self, pixels: bytearray) -> None:
        """Fill `pixels` with the bytes from here. Raises OSError if the file has fewer."""
        self.file.seek(self.offset)
        if self.file.readinto(pixels) != len(pixels):
            raise OSError(errno.EIO, "fewer bytes than were written", self.file.name)


class Segment:
    """A file with one row of pixels an image, and a file with one line of facts for each row that is complete."""

    def __init__(self, pixels: Path, row_bytes: int, mode: str, log_mode: str) -> None:
        self.path = pixels
        self.row_bytes = row_bytes
        self.pixels = pixels.open(mode, buffering=0)
        self.log = pixels.with_suffix(".facts").open(log_mode)

    def add(self, facts: Facts, row: int, checksum: int) -> Place:
        """Write the facts of a row that is complete and has this CRC-32; return where it lies."""
        text = json.dumps(asdict(facts)).encode()
        if not self.log.closed:
            try:
                self.log.write(b"%s %d %d %s\n" % (facts.sha256.encode(), row, zlib.crc32(text, checksum), text))
                self.log.flush()
            except OSError:  # a full disk: the other images are not kept for the next run
                with suppress(OSError):
                    self.log.close()
        return self.place(row)

    def find(self, position: int) -> tuple[Facts, Place] | None:
        """Return the facts at a position of the log and the place of their pixels, or None if their CRC-32 is wrong."""
        try:
            self.log.seek(position)
            _, row, checksum, text = self.log.readline().rstrip(b"\n").split(b" ", 3)
            place = self.place(int(row))
            pixels = bytearray(self.row_bytes)
            place.read_into(pixels)
            same = zlib.crc32(text, zlib.crc32(pixels)) == int(checksum)
            return (Facts(**json.loads(text)), place) if same else None
        except (OSError, ValueError, TypeError):
            return None

    def holds(self, row: int, checksum: int) -> bool:
        """Return whether a row, which any machine may have written, has this CRC-32.

        The file is opened anew, because NFS shows the writes of other machines only after that.
        """
        pixels = bytearray(self.row_bytes)
        with self.path.open("rb", buffering=0) as file:
            Place(file, row * self.row_bytes).read_into(pixels)
        return zlib.crc32(pixels) == checksum

    def place(self, row: int) -> Place:
        return Place(self.pixels, row * self.row_bytes)

    def positions(self) -> dict[str, int]:
        """Return the position of each image's line in the log, by the sha256 of its file."""
        self.log.seek(0)
        positions, position = {}, 0
        for line in self.log:
            positions[line[:DIGITS].decode("ascii", "replace")] = position
            position += len(line)
        return positions

    def close(self) -> None:
        self.pixels.close()
        with suppress(OSError):
            self.log.close()

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".facts").unlink(missing_ok=True)


class PixelCache:
    """The segments whose pixels one version of the decoder made with one set of limits. Used in a `with` block."""

    def __init__(self, folder: Path, key: str, row_bytes: int, limit: int) -> None:
        """`key` names all that the pixels depend on beside the file; `limit` is in bytes, 0 for no cache."""
        self.root = folder
        self.folder = folder / key[:16]
        self.row_bytes = row_bytes
        self.limit = limit
        self.known: dict[str, tuple[Segment, int]] = {}
        self.open = ExitStack()

    def __enter__(self) -> "PixelCache":
        for path in sorted(self.folder.glob("*.pixels")) if self.limit else []:
            try:
                segment = Segment(path, self.row_bytes, "rb", "rb")
            except OSError:
                continue
            self.open.callback(segment.close)
            self.known |= {sha256: (segment, position) for sha256, position in segment.positions().items()}
        return self

    def __exit__(self, *_: object) -> None:
        self.open.close()
        if self.limit:
            with suppress(OSError):
                shrink(self.root, self.limit)

    def find(self, sha256: str) -> tuple[Facts, Place] | None:
        """Return the facts of a file and the place of its pixels, or None."""
        if sha256 not in self.known:
            return None
        segment, position = self.known[sha256]
        with suppress(OSError):
            os.utime(segment.path)
        return segment.find(position)

    def new_segment(self, rows: int, scratch: Path) -> Segment:
        """Return a new segment with room for `rows`: in the cache if possible, else in `scratch` for this run alone."""
        if self.limit:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                return self.created(rows, self.folder)
            except OSError:
                pass
        return self.created(rows, scratch)

    def created(self, rows: int, folder: Path) -> Segment:
        """Create a segment under a new name, so that workers of a killed run cannot write into the next run's file."""
        handle, name = tempfile.mkstemp(suffix=".pixels", dir=folder.absolute())
        try:
            reserve(handle, rows * self.row_bytes)
            segment = Segment(Path(name), self.row_bytes, "rb", "wb")
        except OSError:
            Path(name).unlink()
            raise
        finally:
            os.close(handle)
        if folder != self.folder:
            self.open.callback(segment.remove)
        self.open.callback(segment.close)
        if fcntl:
            fcntl.flock(segment.pixels, fcntl.LOCK_EX)
        return segment


def reserve(handle: int, size: int) -> None:
    """Reserve `size` bytes in a file. Raises OSError now, not during decoding, if the disk has too little room."""
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(handle, 0, size)
    else:
        os.truncate(handle, size)


def shrink(folder: Path, limit: int) -> None:
    """Remove segments, the least recently used first, until the cache has at most `limit` bytes.

    A segment to which a run is writing stays.
    """
    segments = {path: path.stat() for path in folder.rglob("*.pixels")}
    oldest = sorted(segments, key=lambda path: segments[path].st_mtime_ns)
    total = sum(map(size_of, segments))
    for path in oldest:
        if total <= limit:
            break
        size = size_of(path)
        if remove_if_unlocked(path):
            total -= size
            del segments[path]
    smallest = sorted(segments, key=lambda path: segments[path].st_size)
    for path in smallest[: max(0, len(smallest) - MAX_SEGMENTS)]:
        remove_if_unlocked(path)


def size_of(pixels: Path) -> int:
    """Return the size of a segment's two files, in bytes."""
    return sum(path.stat().st_size for path in (pixels, pixels.with_suffix(".facts")) if path.exists())


def remove_if_unlocked(pixels: Path) -> bool:
    """Remove a segment unless a run is writing to it. Returns whether it was removed."""
    try:
        with unlocked(pixels):
            pixels.unlink()
            pixels.with_suffix(".facts").unlink(missing_ok=True)
    except OSError:
        return False
    return True


@contextmanager
def unlocked(path: Path):
    """Hold the lock on a file. Raises BlockingIOError if another process holds it."""
    with path.open("rb") as file:
        if fcntl:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
