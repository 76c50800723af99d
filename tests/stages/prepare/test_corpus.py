"""One file of every kind, format, orientation and fault, each with the row that it must have."""

import io
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.stages.prepare.conftest import PREPARED, images, manifest, notes, quarantine

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


def encoded(image: Image.Image, format_: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


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


def sixteen_bit_rgb_png() -> bytes:
    """Written by hand, for Pillow writes none: ISO/IEC 15948."""
    rows = b"".join(b"\0" + (row.astype(">u2") * 257).tobytes() for row in RGB)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", SIZE, SIZE, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


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
    "rgb16.png": (sixteen_bit_rgb_png(), "PNG", "RGB", RGB, 0),
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


@pytest.fixture
def corpus(ready: Workspace) -> Path:
    """A data set with the corpus among the ants of train."""
    ready.set(data__max_unusable=1.0)
    write_data_set(Path("images"))
    ants = Path("images/train/ant")
    for name, (contents, *_) in (USABLE | FAULTS).items():
        (ants / name).write_bytes(contents)
    return ants


def pixels_of(name: str) -> np.ndarray:
    rows = manifest()
    row = rows[rows["path"] == f"train/ant/{name}"].iloc[0]
    return np.load(PREPARED / "train.npy")[row["index"]]


def test_every_kind_of_image_becomes_the_right_pixels_and_has_its_row(corpus: Path) -> None:
    prepare.main()
    rows = images().set_index("path")
    for name, (_, format_, mode, expected, tolerance) in USABLE.items():
        row = rows.loc[f"train/ant/{name}"]
        assert (row["format"], row["mode"], row["width"], row["height"]) == (format_, mode, SIZE, SIZE), name
        difference = np.abs(pixels_of(name).astype(float) - expected).max()
        assert difference <= tolerance, f"{name} is off by {difference}"


def test_every_fault_has_its_row_in_the_quarantine(corpus: Path) -> None:
    prepare.main()
    assert quarantine() == {f"train/ant/{name}": reason for name, (_, reason) in FAULTS.items()}


# EXIF 2.32, tag 274: what must be done to an upright picture to store it under each orientation.
STORED: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_all_eight_orientations_of_a_picture_become_the_same_pixels(ready: Workspace, format_: str) -> None:
    write_data_set(Path("images"))
    for orientation, turn in STORED.items():
        exif = Image.Exif()
        exif[274] = orientation
        options = {"lossless": True} if format_ == "WEBP" else {}
        stored = encoded(of(np.ascontiguousarray(turn(RGB))), format_, exif=exif, **options)
        Path(f"images/train/bee/turned-{orientation}.{format_.lower()}").write_bytes(stored)
    prepare.main()
    rows = manifest()
    turned = rows["path"].str.contains("turned")
    assert images()[turned]["orientation"].to_list() == list(STORED)
    for index in rows[turned]["index"]:
        np.testing.assert_array_equal(np.load(PREPARED / "train.npy")[index], RGB)


def test_what_is_used_though_unusual_is_noted(ready: Workspace) -> None:
    ants = write_data_set(Path("images")) / "train" / "ant"
    (ants / "photo.jpg").write_bytes(encoded(of(RGB)))
    (ants / "photo.JPEG").write_bytes(encoded(of(picture(2)), "JPEG"))
    (ants / "no-suffix").write_bytes(encoded(of(picture(3))))
    red, blue = Image.new("RGB", (SIZE, SIZE), "red"), Image.new("RGB", (SIZE, SIZE), "blue")
    (ants / "film.gif").write_bytes(encoded(red, "GIF", save_all=True, append_images=[blue]))
    prepare.main()
    assert notes()["train/ant/photo.jpg"] == "named .jpg, holds PNG"
    assert "animated: the first frame is used" in notes()["train/ant/film.gif"]
    assert not {"train/ant/photo.JPEG", "train/ant/no-suffix"} & set(notes())
    assert (pixels_of("film.gif") == [255, 0, 0]).all()


def test_a_file_that_may_not_be_read_is_set_aside(ready: Workspace) -> None:
    ants = write_data_set(Path("images")) / "train" / "ant"
    (ants / "broken-link.png").symlink_to("nowhere.png")
    ready.set(data__max_unusable=1.0)
    prepare.main()
    assert quarantine() == {"train/ant/broken-link.png": "unreadable"}


def test_a_linked_file_is_read_as_itself(ready: Workspace) -> None:
    ants = write_data_set(Path("images")) / "train" / "ant"
    Path("elsewhere").mkdir()
    Path("elsewhere/1.png").write_bytes(encoded(of(RGB)))
    (ants / "linked.png").symlink_to(Path("elsewhere/1.png").absolute())
    prepare.main()
    np.testing.assert_array_equal(pixels_of("linked.png"), RGB)
    shutil.rmtree("elsewhere")
