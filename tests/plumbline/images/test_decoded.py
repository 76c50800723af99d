"""From file to pixels: every mode and orientation, against values worked by hand and against torchvision."""

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from plumbline.images.decoded import Unreadable, decode, resize_and_cut


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def first_pixel(contents: bytes) -> tuple[int, ...]:
    return decode(contents).rgb.getpixel((0, 0))


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([8, 32, 33, 64]))
@settings(max_examples=60)
def test_pixels_are_bit_for_bit_torchvisions_resize_and_center_crop(width: int, height: int, size: int) -> None:
    image = noise(width, height)
    theirs = v2.Compose([v2.Resize(size), v2.CenterCrop(size)])(image)
    np.testing.assert_array_equal(np.asarray(resize_and_cut(image, size)), np.asarray(theirs))


@pytest.mark.parametrize(("width", "height"), [(500, 333), (333, 500), (257, 256), (1000, 31), (301, 302)])
def test_the_centre_crop_of_the_prepared_square_is_the_homeworks_transform(width: int, height: int) -> None:
    image = noise(width, height)
    homework = v2.Compose([v2.Resize(256), v2.CenterCrop(224)])(image)
    np.testing.assert_array_equal(np.asarray(resize_and_cut(image, 256))[16:240, 16:240], np.asarray(homework))


# EXIF 2.32, tag 274: how the stored rows and columns must be turned to stand upright.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation_is_applied(orientation: int) -> None:
    image = noise(5, 3)
    exif = Image.Exif()
    exif[274] = orientation
    decoded = decode(encoded(image, exif=exif))
    np.testing.assert_array_equal(np.asarray(decoded.rgb), UPRIGHT[orientation](np.asarray(image)))
    assert (decoded.orientation, decoded.width, decoded.height) == (orientation, 5, 3)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    for value, eight_bits in ((0, 0), (255, 1), (0x8000, 128), (65535, 255)):  # value / 257, rounded
        image = Image.fromarray(np.full((2, 2), value, dtype=np.uint16))
        assert first_pixel(encoded(image)) == (eight_bits,) * 3
        assert first_pixel(encoded(image.convert("I"), "TIFF")) == (eight_bits,) * 3


def test_floats_are_scaled_by_the_range_they_use() -> None:
    for top in (1.0, 255.0, 65535.0):
        image = Image.fromarray(np.array([[0.2 * top, top]], dtype=np.float32))
        assert first_pixel(encoded(image, "TIFF")) == (51, 51, 51)
    stretched = Image.fromarray(np.array([[-3.0, 1.0]], dtype=np.float32))
    assert first_pixel(encoded(stretched, "TIFF")) == (0, 0, 0)
    with pytest.raises(Unreadable, match="not a finite number"):
        decode(encoded(Image.fromarray(np.array([[np.nan, 1.0]], dtype=np.float32)), "TIFF"))


def test_transparency_is_put_on_white() -> None:
    red_at_80_percent = Image.new("RGBA", (2, 2), (255, 0, 0, 204))
    assert first_pixel(encoded(red_at_80_percent)) == (255, 51, 51)
    assert first_pixel(encoded(Image.new("LA", (2, 2), (0, 0)))) == (255, 255, 255)
    assert first_pixel(encoded(Image.new("LA", (2, 2), (7, 255)))) == (7, 7, 7)
    palette = Image.new("P", (2, 2), 1)
    palette.putpalette([0, 0, 0, 10, 20, 30])
    assert first_pixel(encoded(palette)) == (10, 20, 30)
    assert first_pixel(encoded(palette, transparency=1)) == (255, 255, 255)
    assert first_pixel(encoded(Image.new("RGB", (2, 2), (1, 2, 3)), transparency=(1, 2, 3))) == (255, 255, 255)


def test_black_and_white_grey_and_cmyk_become_rgb() -> None:
    assert first_pixel(encoded(Image.new("1", (2, 2), 1))) == (255, 255, 255)
    assert first_pixel(encoded(Image.new("L", (2, 2), 90))) == (90, 90, 90)
    assert first_pixel(encoded(Image.new("CMYK", (2, 2), (255, 0, 0, 0)), "TIFF")) == (0, 255, 255)


def test_of_an_animation_the_first_frame_is_used() -> None:
    red, blue = Image.new("RGB", (4, 4), "red"), Image.new("RGB", (4, 4), "blue")
    assert first_pixel(encoded(red, "GIF", save_all=True, append_images=[blue])) == (255, 0, 0)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"])
def test_a_truncated_file_is_unreadable_at_any_length_but_never_a_crash(format_: str) -> None:
    contents = encoded(noise(40, 30), format_)
    assert decode(contents).format == format_
    for length in range(0, len(contents) - 1, max(1, len(contents) // 60)):
        try:
            decoded = decode(contents[:length])
        except Unreadable as error:
            assert error.reason in {"empty", "not an image", "truncated", "damaged"}
        else:  # some formats end in bytes that hold no pixels
            assert decoded.rgb.size == (40, 30)


@given(st.binary(max_size=300), st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "TIFF", "BMP"]), st.data())
@settings(max_examples=150)
def test_damaged_bytes_are_an_image_or_unreadable_but_never_a_crash(
    noise_: bytes, format_: str, data: st.DataObject
) -> None:
    contents = bytearray(encoded(noise(20, 20), format_))
    at = data.draw(st.integers(0, len(contents) - 1))
    contents[at : at + len(noise_)] = noise_
    try:
        assert decode(bytes(contents)).rgb.mode == "RGB"
    except Unreadable as error:
        assert str(error)


def test_what_is_no_image_says_so() -> None:
    for contents, reason in ((b"", "empty"), (b"some text", "not an image"), (b"%PDF-1.7", "not an image")):
        with pytest.raises(Unreadable) as error:
            decode(contents)
        assert error.value.reason == reason


def test_an_image_too_large_to_decode_safely_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(Unreadable) as error:
        decode(encoded(Image.new("1", (20_000, 10_000))))
    assert error.value.reason == "too large"


def test_a_strip_that_would_fill_the_memory_when_resized_is_refused() -> None:
    with pytest.raises(Unreadable, match="one side is far too long"):
        resize_and_cut(Image.new("RGB", (3000, 1)), 256)


def test_torch_is_not_needed_to_decode() -> None:
    code = "import sys, plumbline.images.decoded; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
