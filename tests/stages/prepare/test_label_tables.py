"""Labels from a table: what class folders give for the same labels, and splits, groups and classes of its rows."""

import csv
import io
import json
import shutil
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import PROJECT, Workspace, write_image
from tests.stages.prepare.conftest import PREPARED, manifest, notes, prepared, quarantine
from tests.support.label_tables import HEADER, rows_of, write_images, write_table
from tests.support.projects import change_params

NAMES = st.text("abcXYZ019 _-éß", min_size=1, max_size=8).filter(lambda name: name.strip(" .") == name)
TREES = st.dictionaries(NAMES, st.lists(st.integers(0, 200), min_size=3, max_size=8), min_size=2, max_size=4)


def outcome() -> dict[str, bytes] | None:
    """Run the stage afresh: what it wrote, or None if it ended with a line."""
    shutil.rmtree("data", ignore_errors=True)
    try:
        prepare.main()
    except UserError:
        return None
    return prepared()


@pytest.mark.medium
@given(TREES, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_a_table_gives_the_bytes_that_class_folders_give(tree: dict, splits: bool, quoted: bool, chance) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.chdir(name)
        shutil.copy(PROJECT / "params.yaml", "params.yaml")
        change_params(Path(), {"data.root": "images", "image.resize": 16, "image.crop": 16})
        rows = []
        for first, split in enumerate(("train", "val") if splits else ("",)):
            for class_name, images in tree.items():
                for number, image in enumerate(images):
                    path = write_image(Path("images", split, class_name, f"{number}.png"), seed=image + 195 * first)
                    rows.append([path.relative_to("images").as_posix(), class_name, split])
        by_folders = outcome()
        chance.shuffle(rows)
        quoting = csv.QUOTE_ALL if quoted else csv.QUOTE_MINIMAL
        write_table("labels.csv", HEADER, rows, delimiter=chance.choice(",;\t|"), quoting=quoting)
        change_params(Path(), {"data.labels": "labels.csv"})
        assert outcome() == by_folders
        # All in one folder, in the same order: only the paths differ.
        flat = sorted(rows)
        for number, (path, _, _) in enumerate(flat):
            Path("flat").mkdir(exist_ok=True)
            shutil.move(Path("images", path), f"flat/{number:04}.png")
        write_table("labels.csv", HEADER, [[f"{n:04}", *rest] for n, (_, *rest) in enumerate(flat)])
        change_params(Path(), {"data.root": "flat"})
        by_names = outcome()
        if by_folders is None or by_names is None:
            assert by_names == by_folders
            return
        for file in by_names:
            if file.endswith((".npy", "classes.json")):
                assert by_names[file] == by_folders[file]
        first, second = (pd.read_csv(io.BytesIO(each["prepared/manifest.csv"])) for each in (by_folders, by_names))
        assert first.drop(columns="path").equals(second.drop(columns="path"))


@pytest.mark.parametrize("shares", [{"data__test_share": 0.0}, {"data__split_seed": 3}, {}])
def test_splits_are_chosen_as_for_class_folders(ready: Workspace, shares: dict) -> None:
    for i in range(30):
        write_image(Path("images", "ant" if i % 2 else "bee", f"{i}.png"), seed=i)
    ready.set(**shares)
    prepare.main()
    by_folders = prepared()
    write_table("labels.csv", "filename,class", [[f"{i}.png", "ant" if i % 2 else "bee"] for i in range(30)])
    ready.set(data__labels="labels.csv")
    prepare.main()
    assert prepared() == by_folders


def test_without_a_table_nothing_looks_for_one(root: Path) -> None:
    prepare.main()
    before = prepared()
    write_table("images/metadata.csv", "file_name,label", [["train/ant/0.png", "bee"]])
    prepare.main()
    after = prepared()
    assert {name for name in after if after[name] != before[name]} == {"audit/quarantine.csv", "audit/counts.csv"}
    assert quarantine() == {"metadata.csv": "misplaced"}


# Splits, groups, classes and single files


def test_usual_names_of_splits_are_understood(root: Path, ready: Workspace) -> None:
    for train, val, test in (
        ("training", "valid", "testing"),
        ("TRAIN", "Validation", "test"),
        ("train", "dev", "testset"),
    ):
        rows = rows_of(root)
        for row in rows:
            row[2] = train if row[2] == "train" else val if row[0] < "val/bee/2" else test
        write_table("labels.csv", "image,target,set", rows)
        ready.set(data__labels="labels.csv")
        prepare.main()
        assert manifest().groupby("split").size().to_dict() == {"train": 8, "val": 6, "test": 2}


def test_rows_without_a_split_get_one_of_those_that_the_table_lacks(ready: Workspace) -> None:
    write_images(*(f"{i:02}.png" for i in range(40)))
    rows = [[f"{i:02}.png", "ant" if i % 2 else "bee", "test" if i < 10 else ""] for i in range(40)]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    by_path = dict(zip(manifest()["path"], manifest()["split"], strict=True))
    assert {path for path, split in by_path.items() if split == "test"} == {path for path, _, split in rows if split}
    assert manifest().groupby("split").size().to_dict() == {"train": 24, "val": 6, "test": 10}
    write_table("labels.csv", HEADER, [[*row[:2], ("test", "val", "")[i % 3]] for i, row in enumerate(rows)])
    prepare.main()
    assert manifest().groupby("split").size().to_dict() == {"train": 13, "val": 13, "test": 14}


def test_rows_of_train_stay_there_unless_they_are_to_be_carved(ready: Workspace) -> None:
    write_images(*(f"{i:02}.png" for i in range(40)))
    rows = [[f"{i:02}.png", "ant" if i % 2 else "bee", "train" if i < 20 else ""] for i in range(40)]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    given = {path for path, _, split in rows if split}
    train = set(manifest().query("split == 'train'")["path"])
    assert (given <= train, len(train)) == (True, 32)
    ready.set(data__carve=True)
    prepare.main()
    assert manifest().groupby("split").size().to_dict() == {"train": 24, "val": 8, "test": 8}


def test_groups_of_the_table_stay_in_one_split_as_those_of_the_pattern(ready: Workspace) -> None:
    write_images(*(f"p{i // 3}-{i}.png" for i in range(60)))
    rows = [[f"p{i // 3}-{i}.png", "ill" if i % 2 else "well", f"p{i // 3}"] for i in range(60)]
    write_table("labels.csv", "path,label", [row[:2] for row in rows])
    ready.set(data__labels="labels.csv", data__groups=r"(p\d+)-")
    prepare.main()
    before = prepared()
    write_table("labels.csv", "path,label,group", rows)
    ready.set(data__groups=None)
    prepare.main()
    assert prepared() == before
    assert manifest().groupby(manifest()["path"].str.extract(r"(p\d+)-")[0])["split"].nunique().max() == 1


def test_spaces_around_a_value_and_its_unicode_form_do_not_count(ready: Workspace) -> None:
    write_images(*(f"{i}.png" for i in range(60)))
    rows = [[f"{i}.png", "caf\u00e9" if i % 2 else "bee", "", f"\u00e9{i // 3}"] for i in range(60)]
    write_table("labels.csv", f"{HEADER},group", rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    before = prepared()
    ways = (lambda value: f"{value} ", lambda value: f" {value}\t", lambda value: unicodedata.normalize("NFD", value))
    changed = [[ways[i % 3](value) for value in row] for i, row in enumerate(rows)]
    write_table("labels.csv", f"{HEADER},group", [*changed, rows[0]])
    prepare.main()
    after = prepared()
    assert {name for name in after if after[name] != before[name]} == {"audit/images.csv", "audit/counts.csv"}
    assert notes() == {"0.png": "row 1 of labels.csv and row 61 of labels.csv name it"}
    splits_of_group = manifest().groupby(manifest()["path"].str.removesuffix(".png").astype(int) // 3)["split"]
    assert (splits_of_group.ngroups, splits_of_group.nunique().max()) == (20, 1)


def test_a_row_without_a_split_goes_where_its_group_is(ready: Workspace) -> None:
    write_images(*(f"{i:02}.png" for i in range(40)))
    rows = [[f"{i:02}.png", "ant" if i % 2 else "bee", "test" if i < 10 else "", f"g{i % 20}"] for i in range(40)]
    write_table("labels.csv", f"{HEADER},group", rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    test = set(manifest().query("split == 'test'")["path"])
    assert test == {path for path, _, _, group in rows if int(group[1:]) < 10}


def test_classes_and_single_files_are_left_out_as_with_folders(root: Path, ready: Workspace) -> None:
    rows = rows_of(root)
    rows[0][1] = "wasp"
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv", data__classes=["ant", "bee"], data__exclude=["val/bee/0.png"])
    prepare.main()
    assert quarantine() == {"train/ant/0.png": "excluded", "val/bee/0.png": "excluded"}
    assert json.loads((PREPARED / "classes.json").read_text()) == ["ant", "bee"]


def test_a_copy_of_a_given_test_image_is_not_taken_into_train(ready: Workspace) -> None:
    write_images(*(f"{i:02}.png" for i in range(20)))
    for i in range(4):
        shutil.copy(f"images/{i:02}.png", f"images/copy-{i}.png")
    rows = [[f"{i:02}.png", "ant" if i % 2 else "bee", "test" if i < 10 else ""] for i in range(20)]
    rows += [[f"copy-{i}.png", "ant" if i % 2 else "bee", ""] for i in range(4)]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    assert quarantine() == {f"copy-{i}.png": "duplicate" for i in range(4)}
    assert np.unique(manifest()["sha256"]).size == 20
