"""Decode one image file into pixels and facts, or into the reason why it gives no image.

`read_image` uses only its arguments and the file system, so that it can run on any machine. `decoder_version` names
the code and the Pillow that the pixels depend on: the cache keeps the pixels of each version apart, and a Dask worker
with another version is refused.
"""

import functools
import hashlib
import re
import zlib
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import imagehash
import numpy as np
import PIL
from PIL import Image

from plumbline.images.decoded import decode, read_file
from plumbline.images.square import to_square
from plumbline.images.unreadable import Unreadable
from plumbline.run.hashes import sha256_of
from stages.prepare.time_limit import TimeLimit

PROJECT = Path(__file__).parents[2]

THUMBNAIL = 16  # pixels, height and width
LEVELS = np.arange(256)  # that a channel may have
# Control characters (C0, delete, C1), separators of lines, and what overrides the direction of text.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
HASHED = 32  # pixels, height and width of what the perceptual hash is made of; imagehash's own size


@dataclass(frozen=True)
class Limits:
    """Which images are used, and how they become squares."""

    size: int  # pixels, height and width of what is written
    max_pixels: int  # width times height, as stored
    min_side: int  # pixels, the shorter side as stored
    ranges: Mapping[str, Sequence[float]] | None = None  # the values of black and white; None: by each image itself
    fit: str = "crop"  # crop, pad or squash
    interpolation: str = "bilinear"  # or bicubic


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a usable image besides its pixels."""

    sha256: str
    width: int
    height: int
    format: str
    mode: str
    orientation: int
    animated: bool  # the first frame is used
    captured: str  # by EXIF, empty if it does not say so
    lowest: float | None  # value of an image of more than 8 bits a pixel
    highest: float | None
    perceptual_hash: int  # 64 bits
    entropy: float  # bits, of a channel's levels in 64 bins
    thumbnail: str  # grey, THUMBNAIL x THUMBNAIL pixels, hexadecimal
    sums: list[int]  # of the pixels' red, green and blue, from 0 to 255
    squares: list[int]  # of their squares

    @property
    def wide(self) -> bool:
        """Return whether the image has more than 8 bits a pixel in one channel."""
        return self.lowest is not None


@dataclass(frozen=True)
class Unusable:
    """Why a file is not used."""

    reason: str
    detail: str


def read_image(
    path: Path, limits: Limits, pixels: Path, offset: int, limit: TimeLimit | None = None
) -> tuple[Facts, int] | Unusable:
    """Read one file, and write its pixels, uint8 (size, size, 3), to `pixels` from byte `offset`.

    Returns its facts and the CRC-32 of the pixels. A worker that takes longer than the limit to decode them ends.
    """
    try:
        contents = read_file(path)
        with limit.for_image(offset) if limit else nullcontext():  # reading may take long without any fault of the file
            facts, image_pixels = examine(contents, limits)
    except Unreadable as error:
        return Unusable(error.reason, printable(str(error)))
    with pixels.open("r+b", buffering=0) as file:
        file.seek(offset)
        file.write(image_pixels)
    return facts, zlib.crc32(image_pixels)


def examine(contents: bytes, limits: Limits) -> tuple[Facts, bytes]:
    """Decode a file's bytes; return its facts and its pixels."""
    image = decode(contents, limits.max_pixels, limits.ranges)
    if min(image.width, image.height) < limits.min_side:
        raise Unreadable("too small", f"{image.width} x {image.height} pixels; data.min_side is {limits.min_side}")
    square = to_square(image.rgb, limits.size, limits.fit, limits.interpolation)
    small = square.resize((HASHED, HASHED), Image.Resampling.BOX, reducing_gap=1.0).convert("L")
    counts = np.array(square.histogram()).reshape(3, LEVELS.size)  # of each level, by channel
    facts = Facts(
        sha256=hashlib.sha256(contents).hexdigest(),
        width=image.width,
        height=image.height,
        format=image.format,
        mode=image.mode,
        orientation=image.orientation,
        animated=image.animated,
        captured=image.captured,
        lowest=image.extremes[0] if image.extremes else None,
        highest=image.extremes[1] if image.extremes else None,
        entropy=entropy(counts),
        perceptual_hash=int(str(imagehash.phash(small)), 16),
        thumbnail=small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX).tobytes().hex(),
        sums=(counts @ LEVELS).tolist(),
        squares=(counts @ LEVELS**2).tolist(),
    )
    return facts, square.tobytes()


def entropy(counts: np.ndarray) -> float:
    """Return the mean entropy, in bits, of the channels' levels in 64 bins, from their counts (3, 256)."""
    shares = counts.reshape(3, 64, 4).sum(axis=2) / counts.sum(axis=1, keepdims=True)
    logarithms = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return round(abs(float((shares * logarithms).sum(axis=1).mean())), 4)


def printable(name: str) -> str:
    """Return the name with escapes for what UTF-8 cannot encode, control characters and overrides of the direction."""
    escaped = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return UNPRINTABLE.sub(lambda c: f"\\x{ord(c[0]):02x}" if ord(c[0]) < 256 else f"\\u{ord(c[0]):04x}", escaped)


@functools.cache  # what a process has imported stays as it is when its files change
def decoder_version() -> str:
    """Return a sha256, in hexadecimal, of Pillow's version and of the code that decodes."""
    modules = [*sorted((PROJECT / "plumbline" / "images").glob("*.py")), Path(__file__)]
    made_by = [PIL.__version__, *map(sha256_of, modules)]
    return hashlib.sha256("\n".join(made_by).encode()).hexdigest()
