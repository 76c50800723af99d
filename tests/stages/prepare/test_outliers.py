"""Images that are perfectly good, and yet unlike the rest, are noted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stages.prepare import __main__ as prepare
from tests.conftest import PHOTOGRAPHS, Workspace, needs_photographs, write_data_set, write_image
from tests.stages.prepare.conftest import images, notes, quarantine


def test_the_one_placeholder_among_photographs_is_noted(ready: Workspace) -> None:
    root = write_data_set(Path("images"), images=50)
    for path in list(root.rglob("*.png")):
        Image.open(path).save(path.with_suffix(".jpg"))
        path.unlink()
    placeholder = Image.new("P", (200, 150), 0)
    placeholder.putpalette([255, 255, 255, 90, 90, 90])
    ImageDraw.Draw(placeholder).text((50, 70), "not found", fill=1)
    placeholder.save(root / "train/ant/missing.gif")
    prepare.main()
    assert list(notes()) == ["train/ant/missing.gif"]
    assert "rare format: 1 GIF among 200 JPEG" in notes()["train/ant/missing.gif"]
    assert "plain: " in notes()["train/ant/missing.gif"]


def test_of_formats_that_are_mixed_none_is_rare(ready: Workspace) -> None:
    root = write_data_set(Path("images"), images=30)
    write_image(root / "train/ant/one.jpg", seed=900)
    for i in range(20):
        write_image(root / f"train/bee/{i}.webp", seed=901 + i)
    prepare.main()
    assert not any("rare format" in note for note in notes().values())


def test_an_image_of_which_most_is_cut_off_is_noted(ready: Workspace) -> None:
    root = write_data_set(Path("images"))
    write_image(root / "train/ant/strip.png", seed=900, size=(100, 40))
    prepare.main()
    assert notes() == {"train/ant/strip.png": "mostly cut off: the centre square holds 40%"}


@pytest.mark.slow
@needs_photographs
def test_what_is_wrong_with_the_photographs_is_found(workspace: Workspace) -> None:
    workspace.set(data__root=str(PHOTOGRAPHS))
    prepare.main()
    assert quarantine() == {}
    found = notes()
    assert "rare format: 1 GIF among 397 JPEG; plain" in found["train/ants/imageNotFound.gif"]
    assert "plain" in found["train/ants/175998972.jpg"]  # a cut-out on white, with a watermark
    assert len(found) == 9
    shapes = images().set_index("path")[["width", "height"]]
    for path in (path for path, note in found.items() if "cut off" in note):
        with Image.open(PHOTOGRAPHS / path) as image:
            assert min(image.size) / max(image.size) < 0.5
            assert image.size == tuple(shapes.loc[path])


def test_a_data_set_of_like_images_has_no_odd_ones(ready: Workspace) -> None:
    write_data_set(Path("images"), images=20)
    prepare.main()
    assert notes() == {}


def test_a_blank_image_has_no_entropy(ready: Workspace) -> None:
    root = write_data_set(Path("images"), images=10)
    Image.fromarray(np.full((40, 40, 3), 128, np.uint8)).save(root / "train/ant/blank.png")
    prepare.main()
    assert notes()["train/ant/blank.png"].startswith("plain: 0.00 bits a pixel")
