"""One file of every kind, format, orientation and fault: what the stage must make of each."""

import numpy as np
from PIL import Image

from tests.support.image_files import encoded, sixteen_bit_png

SIZE = 32
RNG = np.random.default_rng(7)


def picture(seed: int = 1, size: tuple[int, int] = (SIZE, SIZE)) -> np.ndarray:
    """A smooth picture, uint8 (height, width, 3), of which JPEG keeps nearly everything."""
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8))
    return np.asarray(coarse.resize(size, Image.Resampling.BICUBIC))


RGB = picture()
GREY = RGB[..., 1]
ALPHA = np.tile(np.linspace(0, 255, SIZE).astype(np.uint8), (SIZE, 1))


def on_white(colour: np.ndarray) -> np.ndarray:
    """The `over` operator of Porter and Duff 1984 with an opaque white below."""
    share = ALPHA[..., None] / 255
    return colour * share + 255 * (1 - share)


def of(array: np.ndarray, mode: str | None = None) -> Image.Image:
    image = Image.fromarray(array)
    return image.convert(mode) if mode else image


def with_alpha(array: np.ndarray) -> Image.Image:
    image = of(array)
    image.putalpha(of(ALPHA))
    return image


def palette_with_alpha() -> bytes:
    image = of(GREY).convert("P")  # 256 greys
    return encoded(image, transparency=bytes(range(256)))


def grey_palette_on_white() -> np.ndarray:
    """Of a palette of greys whose entry i has the alpha i."""
    value = GREY.astype(float)
    return as_rgb(value * value / 255 + 255 - value)


def as_rgb(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def ycck() -> bytes:
    """A JPEG whose Adobe marker says YCCK: the stored planes are then Y, Cb, Cr and the inverted K."""
    stored = 255 - np.stack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128), np.full_like(GREY, 255)], axis=2)
    jpeg = bytearray(encoded(Image.fromarray(stored, "CMYK"), "JPEG", quality=100, subsampling=0))
    jpeg[jpeg.index(b"Adobe") + 11] = 2  # the colour transform: Adobe Technical Note 5116, section 18
    return bytes(jpeg)


# name: contents, expected format and mode, expected pixels, how far they may be off
USABLE: dict[str, tuple[bytes, str, str, np.ndarray, int]] = {
    "rgb.png": (encoded(of(RGB)), "PNG", "RGB", RGB, 0),
    "rgb.bmp": (encoded(of(RGB), "BMP"), "BMP", "RGB", RGB, 0),
    "rgb.tif": (encoded(of(RGB), "TIFF"), "TIFF", "RGB", RGB, 0),
    "rgb.ppm": (encoded(of(RGB), "PPM"), "PPM", "RGB", RGB, 0),
    "rgb.tga": (encoded(of(RGB), "TGA"), "TGA", "RGB", RGB, 0),
    "rgb.webp": (encoded(of(RGB), "WEBP", lossless=True), "WEBP", "RGB", RGB, 0),
    "rgb.jp2": (encoded(of(RGB), "JPEG2000"), "JPEG2000", "RGB", RGB, 0),
    "rgb.jpg": (encoded(of(RGB), "JPEG", quality=95, subsampling=0), "JPEG", "RGB", RGB, 20),
    "progressive.jpeg": (encoded(of(RGB), "JPEG", quality=95, progressive=True), "JPEG", "RGB", RGB, 30),
    "grey.jpg": (encoded(of(GREY), "JPEG", quality=95), "JPEG", "L", as_rgb(GREY), 12),
    "l.png": (encoded(of(GREY)), "PNG", "L", as_rgb(GREY), 0),
    "la.png": (encoded(with_alpha(GREY)), "PNG", "LA", on_white(as_rgb(GREY)), 1),
    "rgba.png": (encoded(with_alpha(RGB)), "PNG", "RGBA", on_white(RGB), 1),
    "rgba.webp": (encoded(with_alpha(RGB), "WEBP", lossless=True, exact=True), "WEBP", "RGBA", on_white(RGB), 1),
    "p.png": (encoded(of(GREY).convert("P")), "PNG", "P", as_rgb(GREY), 0),
    "pa.png": (palette_with_alpha(), "PNG", "P", grey_palette_on_white(), 1),
    "p.gif": (encoded(of(GREY), "GIF"), "GIF", "P", as_rgb(GREY), 0),
    "1.png": (encoded(of(GREY > 99)), "PNG", "1", as_rgb((GREY > 99) * 255), 0),
    "i16.png": (encoded(of(GREY.astype(np.uint16) * 257)), "PNG", "I;16", as_rgb(GREY), 0),
    "i16.tif": (encoded(of(GREY.astype(np.uint16) * 257), "TIFF"), "TIFF", "I;16", as_rgb(GREY), 0),
    "i.tif": (encoded(of(GREY.astype(np.int32) * 257), "TIFF"), "TIFF", "I", as_rgb(GREY), 0),
    "f.tif": (encoded(of((GREY / 255).astype(np.float32)), "TIFF"), "TIFF", "F", as_rgb(GREY), 0),
    "rgb16.png": (sixteen_bit_png(RGB.astype(np.uint16) * 257), "PNG", "RGB;16", RGB, 0),
    "cmyk.tif": (encoded(Image.fromarray(np.dstack([255 - RGB, 0 * GREY]), "CMYK"), "TIFF"), "TIFF", "CMYK", RGB, 1),
    "cmyk.jpg": (encoded(Image.fromarray(np.dstack([255 - RGB, 0 * GREY]), "CMYK"), "JPEG", quality=100), "JPEG", "CMYK", RGB, 20),
    "ycck.jpg": (ycck(), "JPEG", "CMYK", as_rgb(255 - GREY), 3),
}  # fmt: skip

FAULTS: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "empty"),
    "stub.png": (b"\x89PNG\r\n\x1a\n", "damaged"),
    "telephone.heic": (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "not an image"),
    "text.jpg": (b"I am not an image", "not an image"),
    "page.png": (b"<!DOCTYPE html><title>404</title>", "not an image"),
    "drawing.jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", "not an image"),
    "cut.jpg": (encoded(of(picture(3, (200, 200))), "JPEG")[:-400], "truncated"),
    "cut.png": (encoded(of(picture(3, (200, 200))))[:-9000], "truncated"),
    "flipped.png": (encoded(of(RGB)).replace(b"IDAT", b"IDAX"), "damaged"),
    "bomb.png": (encoded(Image.new("1", (12_000, 12_000))), "too large"),
    "dot.png": (encoded(Image.new("RGB", (3, 40))), "too small"),
}
