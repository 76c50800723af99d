"""Any image as 8-bit RGB: upright, transparency on white, wider values scaled to 0..255 and not clipped."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import ExifTags, Image, ImageOps

from plumbline.images.strips import strips
from plumbline.images.unreadable import Unreadable

# The values of black and white, by the kind of values.
Ranges = Mapping[str, Sequence[float]]
FULL_RANGES = {"integers": (65535,), "floats": (1, 255, 65535)}


def extremes_of(image: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value. Raises Unreadable if one is not finite."""
    ends = [(values.min(), values.max()) for box in strips(image) for values in [np.asarray(image.crop(box))]]
    if not np.isfinite(ends).all():
        raise Unreadable("damaged", "a pixel is not a finite number")
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def upright_rgb(image: Image.Image, ranges: Ranges | None = None) -> Image.Image:
    """Return the image as 8-bit RGB, with its EXIF orientation applied."""
    orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    image.load()
    return to_rgb(ImageOps.exif_transpose(image) if orientation != 1 else image, ranges)


def kind_of_values(mode: str) -> str | None:
    """Return the kind of values that an image of more than 8 bits a pixel has, `integers` or `floats`, or None."""
    return "integers" if mode == "I" or ";16" in mode else "floats" if mode == "F" else None


def to_rgb(image: Image.Image, ranges: Ranges | None = None) -> Image.Image:
    """Return the image as 8-bit RGB: transparency on white, wider grey values scaled to 0..255."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if kind := kind_of_values(image.mode):
        extremes = extremes_of(image)
        low, high = (ranges or {}).get(kind) or range_by_itself(*extremes, kind)
        return _converted(image, lambda strip: _grey(strip, low, high))
    if image.has_transparency_data:
        return _converted(image, _on_white)
    return image.convert("RGB")


def range_by_itself(low: float, high: float, kind: str) -> tuple[float, float]:
    """Return the values of black and white for an image of which the others are not known.

    Integers hold 16 bits as a rule, floats are in use up to 1, 255 and 65535. Anything else is stretched from its
    smallest to its largest value, or from 0 if it has one value alone.
    """
    for full in FULL_RANGES[kind]:
        if low >= 0 and high <= full:
            return 0, full
    return (low, high) if low < high else (min(low, 0), max(high, 0))


def _converted(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Return the image in RGB, each strip converted by itself."""
    rgb = Image.new("RGB", image.size)
    for box in strips(image):
        rgb.paste(convert(image.crop(box)), box)
    return rgb


def _grey(image: Image.Image, low: float, high: float) -> Image.Image:
    unit = ((np.asarray(image, dtype=np.float64) - low) / (high - low)).clip(0, 1)
    return Image.fromarray(np.rint(unit * 255).astype(np.uint8)).convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
