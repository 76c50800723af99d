"""Keep decoded images from run to run, by their content, so that an added image is the only one that is decoded.

A run writes what it decodes into a segment: a file of pixels, row by row, and a file of facts, one line an
image, added when its row is complete. The next run, also after one that was killed, finds its images there.
The cache lies outside of DVC's outputs, is bounded in size, and may be deleted at any time: whatever is
wrong with it only means that an image is decoded again.
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
except ImportError:  # Windows, which removes no file that is open
    fcntl = None

MOST_SEGMENTS = 64  # beyond, the smallest go
DIGITS = 64  # of a sha256, with which a line begins


def cache_folder() -> Path:
    """Return where the cache lies, absolute, for the worker processes.

    In `dvc exp run --temp` and in the queue, DVC_ROOT names the repository that they belong to.
    """
    return Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".cache" / "prepare"


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image's pixels lie."""

    file: io.FileIO
    offset: int  # bytes

    def read_into(self, pixels: bytearray) -> None:
        """Fill `pixels` from here. Raises OSError if there are not as many bytes."""
        self.file.seek(self.offset)
        if self.file.readinto(pixels) != len(pixels):
            raise OSError(errno.EIO, "fewer bytes than were written", self.file.name)


class Segment:
    """Rows of pixels in one file, and in another one line of facts for each row that is complete."""

    def __init__(self, pixels: Path, row_bytes: int, mode: str, log_mode: str) -> None:
        self.path = pixels
        self.row_bytes = row_bytes
        self.pixels = pixels.open(mode, buffering=0)
        self.log = pixels.with_suffix(".facts").open(log_mode)

    def add(self, facts: Facts, row: int, checksum: int) -> Place:
        """Note that a row of which this is the checksum is complete."""
        text = json.dumps(asdict(facts)).encode()
        if not self.log.closed:
            try:
                self.log.write(b"%s %d %d %s\n" % (facts.sha256.encode(), row, zlib.crc32(text, checksum), text))
                self.log.flush()
            except OSError:  # a full disk: the rest is not remembered
                with suppress(OSError):
                    self.log.close()
        return self.place(row)

    def find(self, position: int) -> tuple[Facts, Place] | None:
        """Return the facts at a position of the log and the place of their pixels, if both are as they were written."""
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
        """Say whether a row reads as it was written, by whichever machine: NFS looks anew when a file is opened."""
        pixels = bytearray(self.row_bytes)
        with self.path.open("rb", buffering=0) as file:
            Place(file, row * self.row_bytes).read_into(pixels)
        return zlib.crc32(pixels) == checksum

    def place(self, row: int) -> Place:
        """Return where a row lies."""
        return Place(self.pixels, row * self.row_bytes)

    def positions(self) -> dict[str, int]:
        """Return where in the log each image's line begins, by the sha256 of its file."""
        self.log.seek(0)
        found, position = {}, 0
        for line in self.log:
            found[line[:DIGITS].decode("ascii", "replace")] = position
            position += len(line)
        return found

    def close(self) -> None:
        """Close both files."""
        self.pixels.close()
        with suppress(OSError):
            self.log.close()

    def remove(self) -> None:
        """Remove both files."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".facts").unlink(missing_ok=True)


class PixelCache:
    """The segments that hold pixels of one size, made in one way. To be used in a `with` block."""

    def __init__(self, folder: Path, key: str, row_bytes: int, limit: int) -> None:
        """`key` names everything that pixels follow from, beside the file; `limit` is in bytes, 0 for no cache."""
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
        """Return a segment with room for `rows`: in the cache, or for this run alone, in `scratch`."""
        if self.limit:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
                return self.created(rows, self.folder)
            except OSError:
                pass
        return self.created(rows, scratch)

    def created(self, rows: int, folder: Path) -> Segment:
        """Create a segment. Its name is new: workers that outlive a killed run find no file of the next to write to."""
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
    """Make room for `size` bytes in a file; a disk without that room is noticed now, and not later."""
    if hasattr(os, "posix_fallocate") and size:
        os.posix_fallocate(handle, 0, size)
    else:
        os.truncate(handle, size)


def shrink(folder: Path, limit: int) -> None:
    """Remove segments until the cache has at most `limit` bytes: the longest unused go first, but for those in use."""
    segments = {path: path.stat() for path in folder.rglob("*.pixels")}
    oldest = sorted(segments, key=lambda path: segments[path].st_mtime_ns)
    total = sum(map(size_of, segments))
    for path in oldest:
        if total <= limit:
            break
        size = size_of(path)
        if removed(path):
            total -= size
            del segments[path]
    smallest = sorted(segments, key=lambda path: segments[path].st_size)
    for path in smallest[: max(0, len(smallest) - MOST_SEGMENTS)]:
        removed(path)


def size_of(pixels: Path) -> int:
    """Return the bytes that a segment takes."""
    return sum(path.stat().st_size for path in (pixels, pixels.with_suffix(".facts")) if path.exists())


def removed(pixels: Path) -> bool:
    """Remove a segment, if no run is writing to it; say whether it is gone."""
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
