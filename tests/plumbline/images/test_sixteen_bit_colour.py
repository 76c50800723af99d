"""Images of 16 bits a channel, in colour or grey with alpha: all their bits count, as in plain grey ones."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from plumbline.images.decoded import decode
from plumbline.images.upright_eight_bit_rgb import kind_of_values
from tests.support.image_files import encoded, sixteen_bit_png

WIDTH, HEIGHT = 40, 32


def values(channels: int, most: int = 4095) -> np.ndarray:
    return np.random.default_rng(0).integers(0, most + 1, (HEIGHT, WIDTH, channels), dtype=np.uint16)


def tiff(pixels: np.ndarray, order: str, *, deflated: bool = False) -> bytes:
    """Return a TIFF of 16 bits a channel in one strip. Source: TIFF 6.0, section 2."""
    data = pixels.astype(f"{order}u2").tobytes()
    data = zlib.compress(data) if deflated else data
    height, width, channels = pixels.shape
    tags = {256: width, 257: height, 258: 16, 259: 8 if deflated else 1, 262: 2, 273: 0, 277: channels, 278: height}
    tags |= {279: len(data)} | ({338: 2} if channels == 4 else {})
    start = 8 + 2 + 12 * len(tags) + 4
    bits = struct.pack(f"{order}{channels}H", *[16] * channels)
    entries = b""
    for tag, value in sorted(tags.items()):
        if tag == 258:
            entries += struct.pack(f"{order}HHII", tag, 3, channels, start)
        else:
            entries += struct.pack(f"{order}HHII", tag, 4, 1, start + len(bits) if tag == 273 else value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return mark + struct.pack(f"{order}IH", 8, len(tags)) + entries + bytes(4) + bits + data


WAYS = {
    "PNG": sixteen_bit_png,
    "TIFF, little-endian": lambda pixels: tiff(pixels, "<"),
    "TIFF, big-endian": lambda pixels: tiff(pixels, ">"),
    "TIFF, little-endian, deflated": lambda pixels: tiff(pixels, "<", deflated=True),
    "TIFF, big-endian, deflated": lambda pixels: tiff(pixels, ">", deflated=True),
}


@pytest.mark.parametrize("way", WAYS)
def test_all_bits_are_scaled_by_the_range_that_is_given(way: str) -> None:
    pixels = values(3)
    decoded = decode(WAYS[way](pixels), ranges={"integers": (0, 4095)})
    np.testing.assert_array_equal(np.asarray(decoded.rgb), np.rint(pixels / 4095 * 255))
    assert decoded.mode == "RGB;16"
    assert kind_of_values(decoded.mode) == "integers"  # so that prepare finds one range for the data set
    assert decoded.extremes == (pixels.min(), pixels.max())


def test_without_a_range_it_is_that_of_16_bits_as_for_grey() -> None:
    grey = values(1, most=65535)
    colour, plain = decode(sixteen_bit_png(np.repeat(grey, 3, axis=2))), decode(encoded(Image.fromarray(grey[..., 0])))
    np.testing.assert_array_equal(np.asarray(colour.rgb), np.asarray(plain.rgb))


@pytest.mark.parametrize("way", ["PNG", "TIFF, little-endian"])
def test_transparent_pixels_become_white(way: str) -> None:
    pixels = values(4)
    pixels[..., 3] = np.where(np.arange(WIDTH) < WIDTH // 2, 0, 65535)
    decoded = np.asarray(decode(WAYS[way](pixels), ranges={"integers": (0, 4095)}).rgb)
    assert (decoded[:, : WIDTH // 2] == 255).all()
    np.testing.assert_array_equal(decoded[:, WIDTH // 2 :], np.rint(pixels[:, WIDTH // 2 :, :3] / 4095 * 255))


@pytest.mark.parametrize("filtered", [False, True])
@pytest.mark.parametrize("most", [1, 255, 4095, 65535])
def test_grey_with_alpha_has_the_pixels_of_plain_grey(most: int, filtered: bool) -> None:
    grey = values(1, most)
    contents = sixteen_bit_png(np.dstack([grey, np.full_like(grey, 65535)]), filtered=filtered)
    decoded = decode(contents, ranges={"integers": (0, most)})
    np.testing.assert_array_equal(np.asarray(decoded.rgb), np.repeat(np.rint(grey / most * 255), 3, axis=2))
    assert kind_of_values(decoded.mode) == "integers"
    assert decoded.extremes == (grey.min(), grey.max())
    alone, plain = decode(contents), decode(encoded(Image.fromarray(grey[..., 0])))
    np.testing.assert_array_equal(np.asarray(alone.rgb), np.asarray(plain.rgb))


def test_transparent_grey_becomes_white() -> None:
    pixels = values(2)
    pixels[..., 1] = np.where(np.arange(WIDTH) < WIDTH // 2, 0x00FF, 0xFF00)  # the upper byte of alpha decides
    decoded = np.asarray(decode(sixteen_bit_png(pixels), ranges={"integers": (0, 4095)}).rgb)
    assert (decoded[:, : WIDTH // 2] == 255).all()
    opaque = np.repeat(np.rint(pixels[:, WIDTH // 2 :, :1] / 4095 * 255), 3, axis=2)
    np.testing.assert_array_equal(decoded[:, WIDTH // 2 :], opaque)


def test_eight_bits_in_grey_with_alpha_stay_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 2), dtype=np.uint8)
    pixels[..., 1] = 255
    decoded = decode(encoded(Image.fromarray(pixels, "LA")), ranges={"integers": (0, 4095)})
    np.testing.assert_array_equal(np.asarray(decoded.rgb), np.repeat(pixels[..., :1], 3, axis=2))
    assert (decoded.mode, decoded.extremes) == ("LA", None)


def test_eight_bits_in_colour_stay_as_they_are() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    decoded = decode(encoded(Image.fromarray(pixels)), ranges={"integers": (0, 4095)})
    np.testing.assert_array_equal(np.asarray(decoded.rgb), pixels)
    assert decoded.extremes is None
