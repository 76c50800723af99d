"""Read images of 16 bits a channel, in colour or grey with alpha, with all their bits: Pillow keeps the upper eight.

The file is decoded a second time with the bytes of each value taken in the other order, which gives the lower eight.
Pillow reads grey with alpha in one order alone: here each of its four bytes becomes a channel, as if it had 8 bits.
"""

import io
import sys

import numpy as np
from PIL import Image

from plumbline.images.strips import strips

GREY_AND_ALPHA, FOUR_BYTES = "LA;16B", "RGBA"  # raw modes of Pillow, of PNG alone; it makes both of them RGBA
OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}


def lower_bytes(image: Image.Image, contents: bytes) -> Image.Image | None:
    """Return the lower bytes of an image that is not loaded yet, as an image; None if it has no such form."""
    tiles = [other_order(tile) for tile in getattr(image, "tile", ())]
    if not tiles or None in tiles or "transparency" in image.info:
        return None
    with Image.open(io.BytesIO(contents), formats=[image.format]) as other:
        other.tile = tiles
        try:
            other.load()
        except ValueError:  # Pillow cannot read this form in the other order
            return None
        if tiles[0].args == FOUR_BYTES:  # upper and lower byte of grey, then of alpha
            return Image.merge("RGB", [other.getchannel("G")] * 3)
        return other


def has_sixteen_bit_colours(image: Image.Image) -> bool:
    """Return whether the file of an image that is not loaded yet has 16 bits a channel, of which Pillow keeps eight."""
    return any(map(other_order, getattr(image, "tile", ())))


def other_order(tile: tuple) -> tuple | None:
    """Return a part of a file as Pillow describes it, with the bytes in the other order; None for other forms."""
    arguments = tile[-1]
    raw_mode, *more = arguments if isinstance(arguments, tuple) and arguments else [arguments]
    if raw_mode == GREY_AND_ALPHA:
        return tile._replace(args=FOUR_BYTES)
    colours, _, order = str(raw_mode).partition(";16")
    if colours not in ("RGB", "RGBA", "RGBX") or order not in OTHER_ORDER:
        return None
    swapped = f"{colours};16{OTHER_ORDER[order]}"
    return tile._replace(args=(swapped, *more) if isinstance(arguments, tuple) else swapped)


def colours_in(image: Image.Image, lower: Image.Image, box: tuple[int, int, int, int]) -> np.ndarray:
    """Return red, green and blue, uint16 (height, width, 3), within a box."""
    upper, low = (np.asarray(part.crop(box))[..., :3].astype(np.uint16) for part in (image, lower))
    return upper << 8 | low


def extremes_of_colours(image: Image.Image, lower: Image.Image) -> tuple[float, float]:
    """Return the lowest and the highest value of red, green and blue."""
    ends = [(values.min(), values.max()) for box in strips(image) for values in [colours_in(image, lower, box)]]
    return float(min(low for low, _ in ends)), float(max(high for _, high in ends))


def scale_colours(image: Image.Image, lower: Image.Image, black: float, white: float) -> None:
    """Change the image's red, green and blue to all bits' values, scaled so that black becomes 0 and white 255."""
    for box in strips(image):
        unit = ((colours_in(image, lower, box) - np.float64(black)) / (white - black)).clip(0, 1)
        strip = Image.fromarray(np.rint(unit * 255).astype(np.uint8))
        if image.mode == "RGBA":
            strip.putalpha(image.crop(box).getchannel("A"))
        image.paste(strip, box)
