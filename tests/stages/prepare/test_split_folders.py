"""Which folders are splits and which are classes, by their names and by what stands beside them."""

from pathlib import Path

import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import fill, manifest, quarantine


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"val": "valid"}, "data.root has valid/ and no val/: if these are its val images, rename it"),
        ({"val": "Validation"}, "data.root has Validation/ and no val/"),
        ({"train": "Train", "val": "Val"}, "data.root has Train/ and no train/"),
        ({"train": "training"}, "data.root has training/ and no train/"),
    ],
)
def test_a_split_under_another_name_is_not_taken_for_a_class(root: Path, names: dict, message: str) -> None:
    for old, new in names.items():
        (root / old).rename(root / new)
    with pytest.raises(UserError, match=message):
        prepare.main()


def test_classes_may_be_called_valid_and_invalid(ready: Workspace) -> None:
    for i in range(10):
        write_image(Path(f"images/valid/{i}.png"), seed=i)
        write_image(Path(f"images/invalid/{i}.png"), seed=100 + i)
    prepare.main()
    assert set(manifest()["class"]) == {"invalid", "valid"}


@pytest.mark.parametrize("name", ["train", "val", "test", "valid", "validation", "Training"])
def test_a_class_that_is_named_as_a_split_is_a_class_beside_others(ready: Workspace, name: str) -> None:
    fill("images/bus", "images/car", f"images/{name}")
    prepare.main()
    assert set(manifest()["class"]) == {"bus", "car", name}


def test_a_train_of_folders_beside_other_classes_is_refused_with_both_readings(ready: Workspace) -> None:
    fill("images/bus", "images/car", "images/train/steam", "images/train/diesel")
    for carve in (False, True):
        ready.set(data__carve=carve)
        with pytest.raises(UserError, match="if train/ is a class .*; if it is a split, move bus/ car/") as e:
            prepare.main()
        assert "carve" not in str(e.value)
    Path("images/train").rename("images/train_class")
    prepare.main()
    assert set(manifest()["class"]) == {"bus", "car", "train_class"}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ("training_set/cats training_set/dogs test_set/cats test_set/dogs",
         "has training_set/ and test_set/, which both hold cats/: if they are splits, rename them to train/ and test/; if"),
        ("seg_train/seg_train/sea seg_train/seg_train/ice seg_test/seg_test/sea seg_test/seg_test/ice",
         "has seg_train/ and seg_test/, which both hold ice/: if they are splits"),
        ("train2017/a train2017/b val2017/a val2017/b", "rename them to train/ and val/; if they are classes"),
        ("data/train/ant data/train/bee data/val/ant data/val/bee docs",
         "has data/, which holds train/ val/: if these are the splits, set data.root to the folder data/ itself"),
        ("data/set/train/ant data/set/train/bee data/set/Test/ant data/set/Test/bee",
         "has data/set/, which holds Test/ train/: if these are the splits, set data.root to the folder data/set/"),
        ("ant/train ant/val bee/train bee/val",
         "has ant/, which holds train/ val/: if these are splits, they must enclose the classes, as train/ant/; if not"),
        ("train test", "it has none; if train/ is a class, rename it to train_class/; if a table has the labels, name"),
        ("Train Test", "has Train/ and no train/: .* rename it to train/; if Train/ is a class, rename it to Train_class/"),
        ("train/ant train/bee tests/ant tests/bee", "has tests/ and no test/: if these are its test images, rename it"),
    ],
)  # fmt: skip
def test_splits_that_would_be_taken_for_classes_are_refused_with_both_readings(
    ready: Workspace, files: str, message: str
) -> None:
    fill(*(f"images/{folder}" for folder in files.split()), images=1)
    with pytest.raises(UserError, match=message) as error:
        prepare.main()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("files", "classes"),
    [
        ("train_station/a train_station/b bus_station/a bus_station/b", {"train_station", "bus_station"}),
        ("blood_test test_strip", {"blood_test", "test_strip"}),
        ("ant/2019 ant/2020 bee/2019 bee/2020", {"ant", "bee"}),
        ("ant/train bee/train", {"ant", "bee"}),  # no other split beside it
        ("trains cars", {"trains", "cars"}),
    ],
)
def test_classes_with_words_for_splits_in_their_names_stay_classes(
    ready: Workspace, files: str, classes: set[str]
) -> None:
    fill(*(f"images/{folder}" for folder in files.split()))
    prepare.main()
    assert set(manifest()["class"]) == classes


def test_splits_with_the_same_classes_stay_splits_whatever_stands_beside_them(root: Path) -> None:
    write_image(root / "originals/ant/0.png", seed=5)
    prepare.main()
    assert set(manifest()["split"]) == {"train", "val"}
    assert quarantine() == {"originals/ant/0.png": "misplaced"}
