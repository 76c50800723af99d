"""The embedded data is scikit-learn's, whole, each image once."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from stages.digits import __main__ as digits
from tests.conftest import Workspace


@pytest.fixture
def written(workspace: Workspace) -> list[Path]:
    digits.main()
    return sorted(Path("data").rglob("*.png"))


def test_every_digit_is_there_once_with_its_pixels_and_its_class(written: list[Path]) -> None:
    bunch = load_digits()
    assert sorted(int(path.stem) for path in written) == list(range(1797))
    for path in written:
        number = int(path.stem)
        assert path.parent.name == str(bunch.target[number])
        # A step of scikit-learn's is 255 / 16 here, rounded to a whole number.
        levels = np.asarray(Image.open(path)).astype(float) * 16 / 255
        np.testing.assert_allclose(levels, bunch.images[number], atol=0.5 * 16 / 255)


def test_the_splits_have_the_homeworks_sizes_and_the_rest_is_held_out(written: list[Path]) -> None:
    counts = {split: len(list(Path("data/digits", split).rglob("*.png"))) for split in ("train", "val", "test")}
    assert counts == {"train": 60, "val": 24, "test": 273}
    assert {path.name for path in Path("data/digits/train").iterdir()} == {"3", "8"}
    assert {path.name for path in Path("data/digits-source").iterdir()} == set("01245679")


@pytest.mark.medium
def test_every_split_holds_images_from_the_whole_set(written: list[Path]) -> None:
    for split in ("train", "val", "test"):
        for digit in ("3", "8"):
            numbers = np.array([int(path.stem) for path in Path("data/digits", split, digit).iterdir()])
            quarters, _ = np.histogram(numbers, bins=4, range=(0, 1797))
            assert quarters.min() >= len(numbers) / 8, f"{split}/{digit}: {quarters}"


@pytest.mark.parametrize(("images", "train", "val"), [(174, 30, 12), (10, 5, 4), (7, 1, 1)])
def test_a_class_is_cut_into_parts_of_the_wanted_sizes(images: int, train: int, val: int) -> None:
    parts = digits.split_class(images, train, val)
    assert [len(part) for part in parts.values()] == [train, val, images - train - val]
    assert sorted(np.concatenate(list(parts.values()))) == list(range(images))
