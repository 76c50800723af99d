"""Decode an image file of any kind into the pixels that every stage works on.

The one place where a file becomes pixels, so that whatever prepares, trains and predicts sees the same:
orientation applied, colours as 8-bit RGB, transparency on white, 16 bits scaled and not clipped.
"""

import io
import struct
import warnings
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageOps

# Pixels of the resized image, before the centre is cut. A strip of 1 x 100,000 pixels would become
# 256 x 25,600,000; no photograph comes near.
MAX_RESIZED_PIXELS = 100_000_000


class Unreadable(ValueError):
    """This file gives no pixels. `reason` is one of a few words, the message is the detail."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class DecodedImage:
    """An image in RGB with its orientation applied, and what its file said of it."""

    rgb: Image.Image
    width: int  # pixels, as stored
    height: int  # pixels, as stored
    format: str  # Pillow's name of the file format
    mode: str  # Pillow's name of the pixel format
    orientation: int  # EXIF, 1 to 8; 1 is upright


def decode(contents: bytes) -> DecodedImage:
    """Decode a file's bytes; of an animation, the first frame.

    Raises Unreadable with reason `empty`, `not an image`, `too large` or `damaged`.
    """
    if not contents:
        raise Unreadable("empty", "the file has no bytes")
    try:
        with warnings.catch_warnings():
            # A decompression bomb is an error; other warnings are about tags we do not read.
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(contents)) as image:
                image.load()
                return _as_decoded(image)
    except Image.UnidentifiedImageError:
        raise Unreadable("not an image", "no known image format") from None
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise Unreadable("too large", str(error)) from None
    except MemoryError:
        raise Unreadable("too large", "not enough memory to decode it") from None
    # What Pillow's readers raise on damaged files of one format or another.
    except (OSError, SyntaxError, ValueError, IndexError, KeyError, TypeError,
            EOFError, AttributeError, OverflowError, RuntimeError, struct.error) as error:  # fmt: skip
        raise Unreadable("damaged", f"{type(error).__name__}: {error}") from None


def _as_decoded(image: Image.Image) -> DecodedImage:
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    return DecodedImage(
        rgb=to_rgb(ImageOps.exif_transpose(image)),
        width=image.width,
        height=image.height,
        format=image.format or "",
        mode=image.mode,
        orientation=orientation if orientation in range(1, 9) else 1,
    )


def to_rgb(image: Image.Image) -> Image.Image:
    """Return the image as 8-bit RGB: transparency on white, wider grey values scaled to 0..255."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode.startswith("I;16"):
        return _grey(np.asarray(image, dtype=np.float64) / 65535)
    if image.mode == "I":
        return _grey(_to_unit_range(np.asarray(image, dtype=np.float64), [65535]))
    if image.mode == "F":
        return _grey(_to_unit_range(np.asarray(image, dtype=np.float64), [1, 255, 65535]))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _to_unit_range(values: np.ndarray, full_ranges: list[int]) -> np.ndarray:
    """Scale values to [0, 1] by the smallest of the given full ranges that holds them all.

    32-bit integers and floats do not say their range; integers hold 16 bits as a rule, floats are in
    use up to 1, 255 and 65535. Anything else is stretched from its smallest to its largest value.
    """
    if not np.isfinite(values).all():
        raise Unreadable("damaged", "a pixel is not a finite number")
    low, high = values.min(), values.max()
    for full in full_ranges:
        if low >= 0 and high <= full:
            return values / full
    return (values - low) / (high - low)


def _grey(unit: np.ndarray) -> Image.Image:
    return Image.fromarray(np.rint(unit * 255).astype(np.uint8)).convert("RGB")


def resize_and_cut(image: Image.Image, size: int) -> np.ndarray:
    """Resize the shorter side to `size` pixels and cut the centre square: uint8 (size, size, 3).

    Bit for bit torchvision's Resize(size) and CenterCrop(size) on the same PIL image, in Pillow alone,
    so that decoding does not have to import torch. Raises Unreadable for extreme aspect ratios.
    """
    short, long = sorted(image.size)
    resized_long = int(size * long / short)
    if size * resized_long > MAX_RESIZED_PIXELS:
        raise Unreadable("too long", f"{image.width} x {image.height} pixels: one side is far too long for the other")
    width, height = (size, resized_long) if image.width <= image.height else (resized_long, size)
    if (width, height) != image.size:
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    left, top = round((width - size) / 2), round((height - size) / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))
