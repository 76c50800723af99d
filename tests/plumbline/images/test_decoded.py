"""From file to pixels: every mode and orientation, against values worked by hand and against torchvision."""

import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torchvision.transforms import v2

from plumbline.images.decoded import decode
from plumbline.images.square import resize_and_cut
from plumbline.images.unreadable import Unreadable
from tests.support.image_files import encoded, noise


def first_pixel(contents: bytes) -> tuple[int, ...]:
    return decode(contents).rgb.getpixel((0, 0))


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


def dated(original: str | None, changed: str | None, orientation: int = 1) -> bytes:
    """EXIF 2.32: DateTimeOriginal, tag 36867 of the Exif IFD (34665), and DateTime, tag 306."""
    exif = Image.Exif()
    exif[274] = orientation
    if original is not None:
        exif.get_ifd(34665)[36867] = original
    if changed is not None:
        exif[306] = changed
    return exif.tobytes()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_date_is_that_on_which_the_picture_was_taken_else_that_of_its_last_change(format_: str) -> None:
    for original, changed, wanted in (
        ("2007:05:12 14:33:01", "2011:01:01 00:00:00", "2007-05-12 14:33:01"),
        (None, "2011:01:01 00:00:00", "2011-01-01 00:00:00"),
        (None, None, ""),
    ):
        for orientation in (1, 6):
            decoded = decode(encoded(noise(5, 3), format_, exif=dated(original, changed, orientation)))
            assert (decoded.captured, decoded.orientation) == (wanted, orientation)


@pytest.mark.parametrize("date", ["0000:00:00 00:00:00", "    :  :     :  :  ", "2007:02:30 10:00:00", "soon", "=1+1"])
def test_a_date_that_is_none_is_empty_and_the_image_is_as_good(date: str) -> None:
    contents = encoded(noise(5, 3), exif=dated(date, None))
    assert decode(contents).captured == ""
    np.testing.assert_array_equal(np.asarray(decode(contents).rgb), np.asarray(noise(5, 3)))


def test_no_damage_to_the_tags_changes_the_pixels_of_an_upright_image() -> None:
    contents = encoded(noise(5, 3), "JPEG", exif=dated("2007:05:12 14:33:01", None))
    start, wanted = contents.index(b"Exif"), np.asarray(decode(contents).rgb)
    dates, end = set(), contents.index(b"2007:05:12") + 20
    for place in range(contents.index(b"\x87\x69", start), end):  # from the pointer to the Exif IFD on
        for byte in (0, 1, 127, 255):  # as a type, 1 is bytes where text belongs
            decoded = decode(contents[:place] + bytes([byte]) + contents[place + 1 :])
            np.testing.assert_array_equal(np.asarray(decoded.rgb), wanted)
            dates.add(decoded.captured)
    assert "" in dates


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


def test_a_constant_image_of_32_bits_is_scaled_from_0() -> None:
    for value, expected in ((10**6, 255), (-5, 0), (0, 0)):
        assert first_pixel(encoded(Image.new("I", (2, 2), value), "TIFF")) == (expected,) * 3
        assert first_pixel(encoded(Image.new("F", (2, 2), value), "TIFF")) == (expected,) * 3


def test_values_are_scaled_by_the_range_that_is_given_and_clipped() -> None:
    ranges = {"integers": [100, 4100], "floats": [-1000, 1000]}
    for value, expected in ((0, 0), (100, 0), (900, 51), (4100, 255), (65535, 255)):
        for image in (Image.fromarray(np.full((2, 2), value, np.uint16)), Image.new("I", (2, 2), value)):
            assert decode(encoded(image, "TIFF"), ranges=ranges).rgb.getpixel((0, 0)) == (expected,) * 3
    for value, expected in ((-1000, 0), (-600, 51), (1000, 255), (5000, 255)):
        image = Image.new("F", (2, 2), value)
        assert decode(encoded(image, "TIFF"), ranges=ranges).rgb.getpixel((0, 0)) == (expected,) * 3
    assert decode(encoded(Image.new("L", (2, 2), 90)), ranges=ranges).rgb.getpixel((0, 0)) == (90,) * 3


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


def test_threads_that_decode_at_once_leave_the_processs_warnings_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    contents, of_pillow = encoded(noise(5, 3)), Image.open
    first_is_in, second_is_in, first_is_done = Event(), Event(), Event()

    def waiting(*arguments: object, **keywords: object) -> Image.Image:
        """Let the second thread come while the first is within, and leave when the first has left."""
        (second_is_in if first_is_in.is_set() else first_is_in).set()
        assert (first_is_done if second_is_in.is_set() else second_is_in).wait(60)
        return of_pillow(*arguments, **keywords)

    monkeypatch.setattr(Image, "open", waiting)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(decode, contents)
        assert first_is_in.wait(60)
        second = threads.submit(decode, contents)
        first.result()
        first_is_done.set()
        second.result()
    assert warnings.filters == before


def test_torch_is_not_needed_to_decode() -> None:
    code = "import sys, plumbline.images.decoded; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
