"""The parts of the images on which a model is weak, and what tells the classes apart without the content."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.stats import binomtest, hypergeom

from plumbline.results.measures_file import Measure
from plumbline.run.paths import AUDIT
from plumbline.training.splits import Split
from stages.evaluate.appearance import appearance_of
from stages.evaluate.shortcuts import lines_of_shortcuts, shortcut_measures
from stages.evaluate.slices import LEAST, line_of_weakest, parts_of, slices_table

IMAGES = 90


def appearance(**columns: object) -> pd.DataFrame:
    """Return images that differ in the columns given alone."""
    same = {"side": 64.0, "aspect": 1.0, "brightness": 0.5, "sharpness": 0.1, "format": "PNG", "mode": "RGB"}
    paths = [f"{i}.png" for i in range(IMAGES)]
    return pd.DataFrame({"path": paths} | same | {"group": paths, "captured": np.nan} | columns, index=range(IMAGES))


def test_the_weakest_part_is_named_with_its_exact_interval_and_test() -> None:
    formats = np.where(np.arange(IMAGES) < 20, "JPEG", "PNG")
    right = ~np.isin(np.arange(IMAGES), [*range(12), 80])  # 8 of 20 JPEGs, 69 of 70 others
    table = slices_table("test", right, appearance(format=formats), None, 0.95)
    assert table["slice"].to_list() == ["format JPEG", "format PNG"]
    jpeg = table.iloc[0]
    wanted = binomtest(8, 20).proportion_ci(0.95, "exact")
    assert (jpeg["accuracy"], jpeg["low"], jpeg["high"]) == pytest.approx((0.4, wanted.low, wanted.high))
    assert jpeg["others_accuracy"] == pytest.approx(69 / 70)
    # Fisher 1935: the chance of tables with these margins that are as unlikely; 77 of 90 are right, 20 are drawn.
    chances = hypergeom(IMAGES, 77, 20).pmf(np.arange(21))
    p = chances[chances <= chances[8] * (1 + 1e-7)].sum()
    assert jpeg["p"] == pytest.approx(p)
    assert jpeg["holm_p"] == pytest.approx(2 * p)  # of two slices
    line = line_of_weakest(table, "test", 0.95)
    assert line.startswith(
        "test: the model is weakest on the 20 images with format JPEG, accuracy 0.400, interval [0.19"
    )
    assert line_of_weakest(table, "val", 0.95) == ""


@pytest.mark.medium
def test_a_part_that_is_better_than_the_others_is_not_called_weak_and_luck_is_not_either() -> None:
    better = np.arange(IMAGES) >= 80
    table = slices_table("test", better, appearance(format=np.where(better, "JPEG", "PNG")), None, 0.95)
    assert line_of_weakest(table.iloc[1:], "test", 0.95) == ""
    luck = np.random.default_rng(0).random(IMAGES) < 0.8
    spread = appearance(brightness=np.arange(IMAGES) / IMAGES, sharpness=np.arange(IMAGES) % 7 / 7)
    assert line_of_weakest(slices_table("test", luck, spread, None, 0.95), "test", 0.95) == ""


def test_numbers_are_cut_into_three_equal_parts_and_equal_ones_stay_together() -> None:
    sizes = parts_of("side", pd.Series(np.random.default_rng(0).permutation(90.0 + np.arange(90)))).value_counts()
    assert sizes.to_dict() == {"side below 120": 30, "side from 120 to 149": 30, "side from 149": 30}
    two = parts_of("side", pd.Series([32.0] * 80 + [64.0] * 10)).value_counts()
    assert two.to_dict() == {"side 32": 80, "side 64": 10}
    three = parts_of("side", pd.Series(np.repeat([480.0, 1023.0, 1024.0], 20))).value_counts()
    assert three.to_dict() == {"side 480": 20, "side 1023": 20, "side 1024": 20}
    large = parts_of("side", pd.Series(3000.0 + np.arange(1200))).value_counts()
    assert large.to_dict() == {"side below 3400": 400, "side from 3400 to 3799": 400, "side from 3799": 400}
    near = parts_of("brightness", pd.Series(np.repeat([0.12341, 0.12342], 10))).value_counts()
    assert near.to_dict() == {"brightness 0.12341": 10, "brightness 0.12342": 10}
    table = slices_table("val", np.ones(IMAGES, bool), appearance(side=np.repeat([32.0, 64.0], 45)), None, 0.95)
    assert table["images"].to_list() == [45, 45]


@pytest.mark.medium
def test_small_parts_and_whole_splits_are_no_slices_and_groups_are() -> None:
    groups = np.where(np.arange(IMAGES) < 30, "hive/0.png", [f"{i}.png" for i in range(IMAGES)])
    formats = np.where(np.arange(IMAGES) < LEAST - 1, "JPEG", "PNG")
    table = slices_table("test", np.arange(IMAGES) > 5, appearance(group=groups, format=formats), None, 0.95)
    assert table["slice"].to_list() == ["group hive/0.png", "format PNG"]
    assert slices_table("test", np.ones(IMAGES, bool), appearance(), None, 0.95).empty
    clustered = slices_table("test", np.arange(IMAGES) > 5, appearance(group=groups), np.arange(IMAGES) // 5, 0.95)
    assert clustered["high"].iloc[0] > table["high"].iloc[0]


def test_looks_are_those_of_the_files_and_the_pixels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    AUDIT.mkdir(parents=True)
    rows = [
        ("train", "t.png", 9, 9, "", ""),
        ("val", "a.png", 40, 20, "2000-01-02 12:00:00", ""),
        ("val", "b.png", 10, 30, "1999-12-31 00:00:00", "day 3"),
        ("val", "c.png", 10, 10, "", ""),
    ]
    stored = pd.DataFrame(rows, columns=["split", "path", "width", "height", "captured", "group"])
    stored.assign(format="PNG", mode="RGB", orientation=1, notes="").to_csv(AUDIT / "images.csv", index=False)
    coarse = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8))
    sharp, blurred = (np.asarray(coarse.resize((32, 32), own)) for own in (Image.Resampling.NEAREST, 3))
    pixels = np.stack([np.full((32, 32, 3), 51, np.uint8), sharp, blurred])
    split = Split(torch.from_numpy(pixels), torch.zeros(3), ["a.png", "b.png", "c.png"], [""] * 3)
    found = appearance_of("val", split, np.array([7, 3, 7]))
    assert found["side"].to_list() == [20, 10, 10]
    assert found["aspect"].to_list() == pytest.approx([2, 1 / 3, 1])
    assert found["brightness"].to_list() == pytest.approx([0.2, sharp.mean() / 255, blurred.mean() / 255])
    assert found["sharpness"][0] == 0 < found["sharpness"][2] < found["sharpness"][1]
    assert found["group"].to_list() == ["a.png", "day 3", "a.png"]
    assert found["captured"].to_list() == pytest.approx([1.5, -1, np.nan], nan_ok=True)


def test_a_class_that_is_brighter_larger_or_named_is_told_and_others_are_not() -> None:
    chance, labels = np.random.default_rng(0), {split: np.arange(IMAGES) % 2 for split in ("train", "test")}
    own = {
        split: appearance(
            path=[f"{'ant' if i % 2 else 'bee'}_{i}.png" for i in range(IMAGES)],
            brightness=0.3 + 0.4 * labels[split] + 0.05 * chance.normal(size=IMAGES),
            side=chance.integers(30, 90, IMAGES).astype(float),
        )
        for split in labels
    }
    found = shortcut_measures(labels, own, dict.fromkeys(labels), 0.95)
    assert list(found) == [("test", f"shortcut_{name}_accuracy") for name in ("brightness", "size", "name")]
    assert found["test", "shortcut_brightness_accuracy"].value > 0.95
    assert found["test", "shortcut_name_accuracy"].value == 1
    assert found["test", "shortcut_size_accuracy"].low < 0.5
    lines = lines_of_shortcuts(found | {("test", "majority_accuracy"): Measure(0.5, IMAGES)}, "test")
    assert [line.split(" alone")[0] for line in lines] == ["test: the brightness", "test: the name"]


def test_a_class_that_was_photographed_on_other_days_or_without_a_date_is_told() -> None:
    chance, labels = np.random.default_rng(0), {split: np.arange(IMAGES) % 2 for split in ("train", "test")}
    for days in (
        lambda label: np.where(label, 7000.0, 7003) + chance.random(IMAGES),
        lambda label: np.where(label, 7000.0, 7000 + 40 * chance.choice([-1, 1], IMAGES)) + chance.random(IMAGES),
        lambda label: np.where(label, 7000 + chance.random(IMAGES), np.nan),
    ):
        own = {split: appearance(captured=days(labels[split])) for split in labels}
        found = shortcut_measures(labels, own, dict.fromkeys(labels), 0.95)
        assert found["test", "shortcut_date_accuracy"].value > 0.95
    own = {split: appearance(captured=7000 + chance.random(IMAGES)) for split in labels}
    assert shortcut_measures(labels, own, dict.fromkeys(labels), 0.95)["test", "shortcut_date_accuracy"].low < 0.5
    line = lines_of_shortcuts(found | {("test", "majority_accuracy"): Measure(0.5, IMAGES)}, "test")[-1]  # names, too
    assert line.startswith("test: the date alone tells the class of")


def test_a_class_that_has_a_format_of_its_own_is_told() -> None:
    labels = {split: np.arange(IMAGES) % 2 for split in ("train", "val")}
    own = {split: appearance(format=np.where(labels[split], "JPEG", "PNG")) for split in labels}
    own["val"].loc[0, "format"] = "GIF"  # which train has not
    found = shortcut_measures(labels, own, dict.fromkeys(labels), 0.95)
    assert found["val", "shortcut_format_accuracy"].value >= 1 - 1 / IMAGES
