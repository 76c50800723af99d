"""An image as the square that the arrays hold: its centre, or all of it."""

from PIL import Image, ImageOps

from plumbline.images.unreadable import Unreadable

# Pixels of the resized image, before the centre is cut. Far more than a photograph has; a strip of 1 x 100,000 pixels
# would become 256 x 25,600,000.
MAX_RESIZED_PIXELS = 100_000_000
PADDING = (124, 116, 104)  # ImageNet's mean colour: nearly zero, once it is normalised


def to_square(image: Image.Image, size: int, fit: str = "crop", interpolation: str = "bilinear") -> Image.Image:
    """Return an image as a square of `size` pixels: its centre (`crop`), or all of it, padded or stretched.

    `fit` is crop, pad or squash, `interpolation` bilinear or bicubic. Raises Unreadable for extreme aspect ratios.
    """
    resampling = Image.Resampling[interpolation.upper()]
    match fit:
        case "crop":
            return resize_and_cut(image, size, resampling)
        case "pad":
            if round(size * min(image.size) / max(image.size)) < 1:
                raise _too_long(image)
            return ImageOps.pad(image, (size, size), resampling, color=PADDING)
        case _:
            return image.resize((size, size), resampling)


def _too_long(image: Image.Image) -> Unreadable:
    return Unreadable("too long", f"{image.width} x {image.height} pixels: one side is far too long for the other")


def resize_and_cut(
    image: Image.Image, size: int, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """Resize the shorter side to `size` pixels and cut the centre square.

    Bit for bit torchvision's Resize(size) and CenterCrop(size) on the same PIL image, in Pillow alone,
    so that decoding does not have to import torch. Raises Unreadable for extreme aspect ratios.
    """
    short, long = sorted(image.size)
    resized_long = int(size * long / short)
    if size * resized_long > MAX_RESIZED_PIXELS:
        raise _too_long(image)
    width, height = (size, resized_long) if image.width <= image.height else (resized_long, size)
    left, top = round((width - size) / 2), round((height - size) / 2)
    image = image.resize((width, height), resampling)
    return image.crop((left, top, left + size, top + size))
