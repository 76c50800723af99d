"""Images of more than 8 bits are scaled alike, by the values in use in the whole data set, and so in prediction."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from plumbline.data.prepared import read_value_ranges
from plumbline.images.decoded import decode
from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set
from tests.stages.prepare.conftest import AUDIT, PREPARED, manifest
from tests.support.image_files import sixteen_bit_png


def write_values(scale: float, dtype: type, offset: float = 0) -> None:
    """Write images of values in [0, 1] times `scale`: each has 0 and 1/2 in it, only the first of a class has 1."""
    for c, class_name in enumerate(("ant", "bee")):
        folder = Path("images", class_name)
        folder.mkdir(parents=True, exist_ok=True)
        for i in range(10):
            values = np.random.default_rng(100 * c + i).uniform(0, 0.5, (32, 32))
            values[0, :3] = 0, 0.5, 1 if i == 0 else 0.25
            stored = values * scale + offset
            Image.fromarray((stored if dtype is np.float32 else np.rint(stored)).astype(dtype)).save(
                folder / f"{i}.tif"
            )


def first_pixels() -> dict[str, list[int]]:
    """The first three pixels of each image, by path."""
    rows = manifest()
    pixels = {split: np.load(PREPARED / f"{split}.npy") for split in set(rows["split"])}
    places = zip(rows["split"], rows["index"], rows["path"], strict=True)
    return {path: pixels[split][index, 0, :3, 0].tolist() for split, index, path in places}


def refuse_other_pixels() -> None:
    """Check that black and half of the range in use became 0 and 127.5 in each of the twenty images, and the third."""
    for path, (black, middle, third) in first_pixels().items():
        assert black == 0
        assert abs(middle - 127.5) <= 1
        assert abs(third - (255 if path.endswith("/0.tif") else 63.75)) <= 1
    counts = pd.read_csv(AUDIT / "counts.csv", index_col="finding")["count"]
    assert counts["of_more_than_8_bits"] == 20


@pytest.mark.parametrize(
    ("scale", "dtype", "offset", "kind", "expected"),
    [
        (1023, np.uint16, 0, "integers", [0, 1023]),
        (4095, np.uint16, 0, "integers", [0, 4095]),
        (16383, np.uint16, 0, "integers", [0, 16383]),
        (65535, np.uint16, 0, "integers", [0, 65535]),
        (4095, np.int32, 0, "integers", [0, 4095]),
        (2**24 - 1, np.int32, 0, "integers", [0, 2**24 - 1]),
        (2000, np.int32, -1000, "integers", [-1000, 1000]),
        (1, np.float32, 0, "floats", [0, 1]),
        (255, np.float32, 0, "floats", [0, 255]),
        (4095, np.float32, 0, "floats", [0, 4095]),
        (1e-4, np.float32, 0, "floats", [0, 1e-4]),
        (1e9, np.float32, 0, "floats", [0, 1e9]),
        (2, np.float32, -1, "floats", [-1, 1]),
    ],
)
def test_the_depth_in_use_is_found_over_all_images(
    ready: Workspace, scale: float, dtype: type, offset: float, kind: str, expected: list[float]
) -> None:
    write_values(scale, dtype, offset)
    prepare.main()
    assert read_value_ranges()[kind] == pytest.approx(expected, rel=1e-6)
    refuse_other_pixels()


def test_a_range_that_is_given_is_used_and_noted(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    write_values(4095, np.uint16)
    ready.set(data__value_range=[0, 2047.5])
    prepare.main()
    assert read_value_ranges() == {"integers": [0, 2047.5]}
    assert first_pixels()["ant/1.tif"][1] == 255
    assert "integers from 0 to 2047.5 become 0 to 255" in capsys.readouterr().out


def test_grey_with_alpha_is_scaled_as_the_grey_images_beside_it(ready: Workspace) -> None:
    write_values(4095, np.uint16)
    for path in Path("images").glob("*/[1-4].tif"):  # without the highest value, which only 0.tif has
        grey = np.asarray(Image.open(path))
        path.with_suffix(".png").write_bytes(sixteen_bit_png(np.dstack([grey, np.full_like(grey, 65535)])))
        path.unlink()
    prepare.main()
    assert read_value_ranges() == {"integers": [0, 4095]}
    refuse_other_pixels()


def test_one_image_alone_gives_the_pixels_that_the_data_set_gives(ready: Workspace) -> None:
    write_values(4095, np.uint16)
    prepare.main()
    rows = manifest().query("split == 'train'")
    pixels = np.load(PREPARED / "train.npy")
    for index, path in zip(rows["index"], rows["path"], strict=True):
        alone = decode(Path("images", path).read_bytes(), ranges=read_value_ranges()).rgb
        np.testing.assert_array_equal(np.asarray(alone), pixels[index])


def test_constant_images_of_32_bits_divide_nothing_by_0(ready: Workspace) -> None:
    for class_name, value in (("ant", -7), ("bee", -7)):
        for i in range(10):
            Path("images", class_name).mkdir(parents=True, exist_ok=True)
            Image.new("F", (32 + i, 32 + 20 * (class_name == "bee")), value).save(f"images/{class_name}/{i}.tif")
    prepare.main()
    assert read_value_ranges() == {"floats": [-7, 1]}


def test_images_of_8_bits_have_no_range(ready: Workspace) -> None:
    write_data_set(Path("images"))
    prepare.main()
    assert read_value_ranges() is None
    assert not list(PREPARED.glob("value*"))


@pytest.mark.parametrize("value", ["automatic", [1], [1, 1], [5, 2], ["a", "b"], [0, float("inf")]])
def test_a_range_that_is_none_is_refused(ready: Workspace, value: object) -> None:
    write_data_set(Path("images"))
    ready.set(data__value_range=value)
    with pytest.raises(UserError, match="data.value_range"):
        prepare.main()
