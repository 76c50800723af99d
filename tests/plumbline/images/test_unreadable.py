"""Files that give no image: cut, damaged, filled in, too large or of another kind, each with its reason."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from plumbline.images.decoded import decode
from plumbline.images.square import resize_and_cut
from plumbline.images.unreadable import Unreadable
from tests.support.image_files import encoded, noise


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


def reason(contents: bytes) -> str:
    with pytest.raises(Unreadable) as error:
        decode(contents)
    return error.value.reason


def smooth(size: int = 200) -> Image.Image:
    """A picture that compresses as a photograph does: broad shapes with some grain."""
    rng = np.random.default_rng(5)
    coarse = Image.fromarray(rng.integers(40, 216, (6, 6, 3), dtype=np.uint8)).resize(
        (size, size), Image.Resampling.BICUBIC
    )
    return Image.fromarray((np.asarray(coarse) + rng.integers(-20, 21, (size, size, 1))).clip(0, 255).astype(np.uint8))


ENDS = {"JPEG": b"\xff\xd9", "PNG": b"\0\0\0\0IEND\xaeB`\x82", "GIF": b"\0;"}
COMPRESSED = {
    "JPEG": ("JPEG", {}),
    "JPEG, other sampling": ("JPEG", {"subsampling": 0, "quality": 95}),
    "JPEG, best tables": ("JPEG", {"optimize": True}),
    "JPEG, restarts": ("JPEG", {"restart_marker_rows": 1}),
    "JPEG, progressive": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "GIF": ("GIF", {}),
    "WebP": ("WEBP", {}),
    "WebP, lossless": ("WEBP", {"lossless": True}),
    "AVIF": ("AVIF", {}),
    "QOI": ("QOI", {}),
    "PCX": ("PCX", {}),
    "icon": ("ICO", {"sizes": [(200, 200)]}),
    "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "TIFF, deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "TIFF, PackBits": ("TIFF", {"compression": "packbits"}),
    "TIFF, JPEG": ("TIFF", {"compression": "jpeg"}),
}


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_what_a_decoder_or_a_broken_copy_has_filled_in_is_truncated(kind: str, mode: str, share: float) -> None:
    format_, options = COMPRESSED[kind]
    whole = encoded(smooth().convert("RGB" if format_ == "QOI" else mode), format_, **options)
    assert decode(whole).format == format_
    cut = whole[: int(len(whole) * share)]
    zeros = bytes(len(whole) - len(cut))
    assert reason(cut) == "truncated"
    assert reason(cut + zeros) == "truncated"
    if format_ in ENDS:
        assert reason(cut + ENDS[format_]) == "truncated"
        assert reason(cut + zeros + ENDS[format_]) in {"truncated", "damaged"}


@pytest.mark.parametrize("offset", [3, 7])
def test_a_strip_of_a_tiff_of_which_a_part_is_zeros_is_not_used(offset: int) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        whole = encoded(smooth(), "TIFF", compression=compression)
        hole = len(whole) * offset // 10
        assert reason(whole[:hole] + bytes(500) + whole[hole + 500 :]) in {"truncated", "damaged"}


@pytest.mark.parametrize(
    "kind", [kind for kind, (format_, _) in COMPRESSED.items() if format_ in ("JPEG", "WEBP", "PNG")]
)
@pytest.mark.parametrize("value", [0, 127, 128, 255])
def test_flat_pictures_whose_data_are_zeros_by_right_are_used(kind: str, value: int) -> None:
    format_, options = COMPRESSED[kind]
    flat = Image.new("RGB", (1500, 1500), (value, value, value))
    busy_above = flat.copy()
    busy_above.paste(smooth(300), (0, 0))
    for image in (flat, busy_above, flat.convert("L")):
        whole = encoded(image, format_, **options)
        assert decode(whole).format == format_
        assert decode(whole + bytes(5000)).format == format_  # as file systems and cameras pad


def test_what_is_filled_in_of_the_first_frame_counts_and_of_others_does_not() -> None:
    whole = encoded(smooth(), "WEBP", save_all=True, append_images=[smooth().rotate(90)])
    for share, used in ((0.3, False), (0.7, True)):
        cut = whole[: int(len(whole) * share)]
        filled = cut + bytes(len(whole) - len(cut))
        assert decode(filled).animated if used else reason(filled) == "truncated"


def test_a_hole_in_compressed_data_is_truncated_where_no_encoder_writes_zeros() -> None:
    shades = smooth().convert("RGBA")
    shades.putalpha(smooth().convert("L"))
    faxes = [encoded(smooth().convert("1"), "TIFF", compression=f"group{number}") for number in (3, 4)]
    for whole in (encoded(shades, "WEBP"), encoded(smooth(), "AVIF"), *faxes):
        decode(whole)
        hole = len(whole) // 2
        assert reason(whole[:hole] + bytes(500) + whole[hole + 500 :]) in {"truncated", "damaged"}


def test_zeros_by_right_are_used_in_rare_formats() -> None:
    flat = Image.new("RGBA", (300, 300), (0, 0, 0, 0))
    black = Image.new("RGB", (300, 300))
    files = [encoded(flat, "WEBP"), encoded(flat, "AVIF"), encoded(black, "AVIF"), encoded(flat, "ICO")]
    files += [encoded(black.convert(mode), "PCX") for mode in ("RGB", "L", "P")]
    files += [encoded(black.convert("1"), "TIFF", compression=kind) for kind in ("group3", "group4", "tiff_ccitt")]
    for whole in files:
        assert decode(whole).rgb.size in {(300, 300), (256, 256)}
        assert decode(whole + bytes(5000)).rgb.size in {(300, 300), (256, 256)}  # as file systems pad


def test_a_grey_picture_with_bytes_before_its_end_is_used() -> None:
    whole = encoded(Image.new("RGB", (64, 64), (128, 128, 128)), "JPEG")
    assert decode(whole[:-2] + b"\x12\x34\x56" + whole[-2:]).format == "JPEG"  # libjpeg: extraneous bytes


def tiff(bands: int = 3, photometric: int = 2, compression: int = 1, extra: dict[int, int] | None = None) -> bytes:
    """A TIFF of 8 x 8 pixels, written by hand: TIFF 6.0, section 2."""
    pixels = bytes(64 * bands)
    tags = {256: 8, 257: 8, 258: 8, 259: compression, 262: photometric, 273: 8, 277: bands, 278: 8, 279: len(pixels)}
    entries = sorted((tags | (extra or {})).items())
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return (
        b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(entries)) + directory + bytes(4)
    )


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (tiff(bands=7, photometric=1), "TIFF with bits 8, bands 7"),
        (tiff(bands=2, photometric=6), "TIFF with bits 8, bands 2"),
        (tiff(bands=1, photometric=32803), "a camera raw file"),
        (tiff(extra={254: 1, 330: 8}), "a camera raw file"),  # with a preview first, as Nikon's
        (tiff(extra={50706: 0x00000401}), "a camera raw file"),  # DNG
    ],
)
def test_a_whole_tiff_of_a_kind_that_is_not_decoded_is_unsupported_and_nothing_else_is_printed(
    contents: bytes, kind: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unreadable, match=f"{kind}.*is not supported: convert it") as error:
        decode(contents)
    assert error.value.reason == "unsupported"
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("contents", "kind"),
    [
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"<?xml version='1.0'?>\n<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "a camera raw file"),
        (b"FUJIFILMCCD-RAW 0201FF", "a camera raw file"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "an MP4 or QuickTime video"),
        (b"RIFF\x24\0\0\0AVI LIST", "an AVI video"),
        (b"\x1aE\xdf\xa3\x9fB\x86", "a Matroska or WebM video"),
        (bytes(128) + b"DICM", "DICOM"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "a pointer of Git LFS"),
        (b"<!DOCTYPE html><title>404", "a web page"),
    ],
)
def test_a_file_of_another_kind_says_which(contents: bytes, kind: str) -> None:
    with pytest.raises(Unreadable, match=f"{kind}.*not supported") as error:
        decode(contents)
    assert error.value.reason == "not an image"


def test_libtiffs_lines_are_not_printed(capfd: pytest.CaptureFixture[str]) -> None:
    whole = encoded(noise(200, 200), "TIFF", compression="tiff_lzw")
    hole = len(whole) // 2
    assert reason(whole[:hole] + bytes(500) + whole[hole + 500 :]) == "damaged"
    assert capfd.readouterr().err == ""


def test_whatever_a_decoder_raises_makes_the_file_unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    for error in (AssertionError(), ZeroDivisionError("x"), ArithmeticError("y"), UnicodeError("z")):
        monkeypatch.setattr(Image.Image, "getexif", lambda _, error=error: (_ for _ in ()).throw(error))
        with pytest.raises(Unreadable, match=type(error).__name__):
            decode(encoded(noise(8, 8)))
