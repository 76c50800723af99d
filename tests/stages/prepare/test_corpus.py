"""One file of every kind, format, orientation and fault, each with the row that it must have."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.stages.prepare.conftest import PREPARED, images, manifest, notes, quarantine
from tests.support.corpus import FAULTS, RGB, SIZE, USABLE, of, picture
from tests.support.image_files import encoded


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
    (ants / "stereo.mpo").write_bytes(encoded(of(picture(4)), "MPO", save_all=True, append_images=[of(picture(5))]))
    (ants / "stereo.jpg").write_bytes(encoded(of(picture(6)), "MPO", save_all=True, append_images=[of(picture(7))]))
    (ants / "window.dib").write_bytes(encoded(of(picture(8)), "BMP"))
    (ants / "no-suffix").write_bytes(encoded(of(picture(3))))
    red, blue = Image.new("RGB", (SIZE, SIZE), "red"), Image.new("RGB", (SIZE, SIZE), "blue")
    (ants / "film.gif").write_bytes(encoded(red, "GIF", save_all=True, append_images=[blue]))
    prepare.main()
    assert notes()["train/ant/photo.jpg"] == "named .jpg, holds PNG"
    assert "animated: the first frame is used" in notes()["train/ant/film.gif"]
    assert not {
        f"train/ant/{name}" for name in ("photo.JPEG", "no-suffix", "stereo.mpo", "stereo.jpg", "window.dib")
    } & set(notes())
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
