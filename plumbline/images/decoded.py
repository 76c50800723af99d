"""Decode an image file of any kind into the pixels that every stage works on.

Preparation, training and prediction all decode with this module, so that they see the same pixels: orientation
applied, colours as 8-bit RGB, transparency on white, 16 bits scaled and not clipped.
"""

import functools
import io
import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from PIL import ExifTags, Image

from plumbline.images.cut_short import ends_early, filled_in
from plumbline.images.no_warnings import NO_WARNINGS
from plumbline.images.other_kinds import other_kind, unsupported_tiff
from plumbline.images.sixteen_bit_colour import extremes_of_colours, lower_bytes, scale_colours
from plumbline.images.unreadable import Unreadable
from plumbline.images.upright_eight_bit_rgb import Ranges, extremes_of, kind_of_values, range_by_itself, upright_rgb

MAX_PIXELS = 100_000_000  # width times height
LARGEST_MAX_PIXELS = 178_956_970  # by default Pillow opens no image of more
MAX_BYTES = 2**30  # of a file: more than MAX_PIXELS need in any format, with four channels of 16 bits

# Other formats hold several images too (MPO of telephones, the sizes of an icon). Their first image is the image.
ANIMATED_FORMATS = ("GIF", "PNG", "WEBP", "TIFF")

# Pillow passes PostScript to Ghostscript, which runs the file as a program.
NEVER_OPENED = ("EPS",)

# Formats with unmistakable first bytes: a file that begins with them and cannot be decoded is a damaged image.
SIGNED_FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "AVIF", "JPEG2000")
MIN_BYTES = 64  # of an image

NO_LOG = logging.NullHandler()
STDERR = threading.Lock()  # held while the process's stderr is diverted


@dataclass(frozen=True)
class DecodedImage:
    """An image in RGB with its orientation applied, and the properties of its file."""

    rgb: Image.Image
    width: int  # pixels, as stored
    height: int  # pixels, as stored
    format: str  # Pillow's name of the file format
    mode: str  # Pillow's name of the pixel format, with ;16 if colours or grey with alpha have 16 bits
    orientation: int  # EXIF, 1 to 8; 1 is upright
    animated: bool  # the first of several frames
    captured: str  # when, by EXIF: 2007-05-12 14:33:01, of no time zone; empty if it does not say so
    extremes: tuple[float, float] | None  # the lowest and the highest value, of an image of more than 8 bits a pixel


def read_file(path: Path) -> bytes:
    """Return a file's bytes.

    Raises Unreadable with reason `unreadable`, if it is no ordinary file (a pipe would never end) or may not be read,
    or with reason `too large`.
    """
    if "\0" in str(path):
        raise Unreadable("unreadable", "a name with a zero byte in it, which no file has")
    try:
        facts = path.stat()
        if stat.S_ISDIR(facts.st_mode):
            raise Unreadable("unreadable", "a folder that may not be listed, or a link to a folder")
        if not stat.S_ISREG(facts.st_mode):
            raise Unreadable("unreadable", "no ordinary file")
        if facts.st_size > MAX_BYTES:
            raise Unreadable("too large", f"{facts.st_size:,} bytes, more than {MAX_BYTES:,}")
        return path.read_bytes()
    except OSError as error:
        raise Unreadable("unreadable", str(error.strerror)) from None


def decode(contents: bytes, max_pixels: int = MAX_PIXELS, ranges: Ranges | None = None) -> DecodedImage:
    """Decode a file's bytes; of an animation, the first frame.

    `ranges` are the values that become black and white in images of more than 8 bits, of integers and of floats.
    Without them, each image is scaled by itself.

    Raises Unreadable with reason `empty`, `not an image`, `unsupported` (whole, of a kind that is not decoded),
    `too large` (of more than `max_pixels`, before they are decoded), `truncated` or `damaged`.
    """
    if not contents:
        raise Unreadable("empty", "the file has no bytes")
    try:
        # no warnings: of tags that are not read, and of sizes, which are checked here
        with NO_WARNINGS, _quiet(contents), Image.open(io.BytesIO(contents), formats=known_formats()) as image:
            if image.width * image.height > max_pixels:
                raise Unreadable("too large", f"{image.width} x {image.height} pixels, more than {max_pixels:,}")
            if kind := unsupported_tiff(contents, readable=True):
                raise _unsupported(kind)
            return _as_decoded(image, contents, ranges)
    except Image.UnidentifiedImageError:
        raise _unidentified(contents) from None
    except Unreadable:
        raise
    except Image.DecompressionBombError as error:
        raise Unreadable("too large", str(error)) from None
    except MemoryError:
        raise Unreadable("too large", "not enough memory to decode it") from None
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files, an AssertionError too
        raise _undecodable(contents, error) from None


@functools.cache
def known_formats() -> list[str]:
    """Return Pillow's names of the file formats that are decoded."""
    Image.init()
    return [name for name in Image.ID if name not in NEVER_OPENED]


@contextmanager
def _quiet(contents: bytes) -> Iterator[None]:
    """Keep Pillow and libtiff from writing, within the block, lines that do not name the file.

    libtiff writes to the process's stderr, so that this is diverted for a TIFF; what other threads write is lost.
    """
    logging.getLogger("PIL").addHandler(NO_LOG)  # without any handler, Python prints what is logged
    if contents[:2] not in (b"II", b"MM"):
        yield
        return
    with STDERR, ExitStack() as undo:
        with suppress(OSError):  # a process without stderr
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
            undo.callback(os.close, kept)
            undo.callback(os.dup2, kept, 2)
            os.dup2(nowhere, 2)
            os.close(nowhere)
        yield


def _unsupported(kind: str) -> Unreadable:
    return Unreadable("unsupported", f"{kind}, which is not supported: convert it to PNG or JPEG")


def _undecodable(contents: bytes, error: Exception) -> Unreadable:
    """Return the error for bytes that Pillow recognises and cannot decode."""
    what = f"{type(error).__name__}: {error}"
    if "truncated" in what.lower() or "not enough image data" in what or ends_early(contents):
        return Unreadable("truncated", what)
    if "cannot find loader" in what or "cannot load this image" in what:
        return _unsupported("a format of which Pillow has no decoder")
    if "not available" in what and (kind := unsupported_tiff(contents, readable=False)):
        return _unsupported(kind)
    return Unreadable("damaged", what)


def _unidentified(contents: bytes) -> Unreadable:
    """Return the error for bytes that Pillow does not recognise, with the format that they begin like."""
    if kind := unsupported_tiff(contents, readable=False):
        return _unsupported(kind)
    if kind := other_kind(contents):
        return Unreadable("not an image", f"{kind}: it is not supported; convert it to PNG or JPEG")
    for name in SIGNED_FORMATS:
        if name in Image.OPEN and Image.OPEN[name][1](contents[:16]):
            reason = "truncated" if len(contents) > MIN_BYTES and ends_early(contents) else "damaged"
            return Unreadable(reason, f"begins like {name} and does not go on like it")
    return Unreadable("not an image", "no known image format")


def _as_decoded(image: Image.Image, contents: bytes, ranges: Ranges | None) -> DecodedImage:
    lower = lower_bytes(image, contents)  # first, because PNG's getexif() loads the image
    exif = image.getexif()
    orientation = exif.get(ExifTags.Base.Orientation, 1)  # read now: upright_rgb() removes it from a TIFF
    captured = _captured(exif)
    image.load()
    if reason := filled_in(contents, image):
        raise Unreadable(reason, "some of its data are missing or wrong; the decoder has filled in the pixels")
    mode, extremes = image.mode, None
    if lower:
        mode, extremes = f"{mode};16", extremes_of_colours(image, lower)
        black, white = (ranges or {}).get("integers") or range_by_itself(*extremes, "integers")
        scale_colours(image, lower, black, white)
    elif kind_of_values(mode):
        extremes = extremes_of(image)
    rgb = upright_rgb(image, ranges)
    turned = orientation in range(5, 9)
    return DecodedImage(
        rgb=rgb,
        width=rgb.height if turned else rgb.width,
        height=rgb.width if turned else rgb.height,
        format=image.format or "",
        mode=mode,
        orientation=orientation if orientation in range(1, 9) else 1,
        animated=getattr(image, "is_animated", False) and image.format in ANIMATED_FORMATS,
        extremes=extremes,
        captured=captured,
    )


def _captured(exif: Image.Exif) -> str:
    """Return when the picture was taken, by DateTimeOriginal, else DateTime; empty for none, or one that is no date."""
    try:
        original = exif.get_ifd(ExifTags.IFD.Exif).get(ExifTags.Base.DateTimeOriginal)
        text = original or exif.get(ExifTags.Base.DateTime, "")
        return str(datetime.strptime(text.strip(" \0"), "%Y:%m:%d %H:%M:%S"))
    except Exception:  # as above: the image is good, whatever its tags are
        return ""
