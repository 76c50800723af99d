"""Corrections of labels: what a table of the right labels gives, what became of each row, and rows that do not fit."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import AUDIT, manifest, prepared, quarantine, splits, write_flat
from tests.support.label_tables import HEADER, labels, rows_of, write_table

COLUMNS = "path,sha256,label,action,note"


def sha256(path: str) -> str:
    return hashlib.sha256(Path("images", path).read_bytes()).hexdigest()


def row(path: str, action: str, label: str = "", note: str = "") -> list[str]:
    return [path, sha256(path), label, action, note]


def correct(ready: Workspace, *rows: list[str]) -> None:
    """Run the stage with these corrections."""
    write_table("corrections.csv", COLUMNS, rows, quoting=csv.QUOTE_ALL)
    ready.set(data__corrections="corrections.csv")
    prepare.main()


def audited() -> dict[str, str]:
    """What became of each correction, by path."""
    table = pd.read_csv(AUDIT / "corrections.csv", keep_default_na=False)
    return dict(zip(table["path"], table["status"], strict=True))


def arrays() -> dict[str, bytes]:
    """What training depends on."""
    return {name: contents for name, contents in prepared().items() if name.startswith("prepared/")}


def test_corrections_give_the_arrays_and_the_manifest_that_a_table_of_the_right_labels_gives(
    root: Path, ready: Workspace
) -> None:
    moved = {"train/ant/2.png": "bee", "train/bee/0.png": "ant", "val/bee/3.png": "ant"}
    rows = [[path, moved.get(path, label), split] for path, label, split in rows_of(root)]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv", data__exclude=["train/ant/1.png"])
    prepare.main()
    wanted = arrays()
    images = {path: path.read_bytes() for path in root.rglob("*.png")}
    write_table(
        "labels.csv",
        HEADER,
        [[path, "bee" if path == "train/ant/0.png" else label, split] for path, label, split in rows],
    )
    correct(ready, row("train/ant/0.png", "relabel", "ant"))
    assert arrays() == wanted
    ready.set(data__labels=None, data__exclude=[])
    undecided = row("val/ant/1.png", "undecided")
    relabelled = [row(path, "relabel", label) for path, label in moved.items()]
    correct(ready, *relabelled, row("train/ant/1.png", "exclude"), row("val/ant/0.png", "keep", "ant"), undecided)
    assert arrays() == wanted
    assert quarantine() == {"train/ant/1.png": "excluded"}
    assert {path: path.read_bytes() for path in root.rglob("*.png")} == images


def test_a_row_that_is_removed_is_undone_and_each_row_is_accounted_for(
    root: Path, ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare.main()
    before = prepared()
    stale, gone = row("val/ant/0.png", "exclude"), row("val/ant/1.png", "exclude", note="blurred, see above")
    moved = row("train/bee/1.png", "relabel", "ant")
    write_image(root / "val/ant/0.png", seed=77)
    Path(root, "val/ant/1.png").unlink()
    Path(root, "train/bee/1.png").rename(root / "train/bee/renamed.png")
    capsys.readouterr()
    correct(ready, stale, gone, moved, row("val/bee/2.png", "undecided"), row("val/bee/1.png", "keep", "bee"))
    statuses = {"val/ant/0.png": "stale", "val/ant/1.png": "unknown", "train/bee/1.png": "applied"}
    assert audited() == statuses | {"val/bee/2.png": "undecided", "val/bee/1.png": "applied"}
    assert labels()["train/bee/renamed.png"] == "ant"
    found = json.loads(Path("metrics/prepare.json").read_text())
    assert [found[f"corrections_{each}"] for each in ("applied", "stale", "unknown")] == [2, 1, 1]
    line = "corrections.csv: 2 of 5 corrections applied (1 keep, 1 relabel), 1 undecided, 1 stale, 1 unknown"
    assert line in capsys.readouterr().out.splitlines()
    shutil.rmtree(root)
    write_data_set(root, images=4)
    correct(ready, row("val/bee/1.png", "relabel", "ant"))
    assert prepared() != before
    correct(ready)
    assert audited() == {}
    ready.set(data__corrections=None)
    prepare.main()
    assert prepared() == before


def test_corrections_move_no_image_to_another_split(ready: Workspace) -> None:
    write_flat({"ant": 20, "bee": 20})
    prepare.main()
    before = splits()
    by_split = {split: [path for path in before if before[path] == split] for split in ("train", "val", "test")}
    chosen = [path for paths in by_split.values() for path in paths if path.startswith("ant")]
    moved, left_out = chosen[::3], by_split["test"][0]
    rows = [row(path, "relabel", "bee") for path in moved if path != left_out]
    correct(ready, *rows, row(left_out, "exclude"))
    assert splits() == {path: split for path, split in before.items() if path != left_out}
    assert {path for path, label in labels().items() if not path.startswith(label)} == set(moved) - {left_out}


def test_a_file_under_two_classes_is_used_once_its_label_is_confirmed(root: Path, ready: Workspace) -> None:
    shutil.copy(root / "train/ant/0.png", root / "train/bee/copy.png")
    prepare.main()
    assert set(quarantine().values()) == {"conflicting label"}
    correct(ready, row("train/ant/0.png", "keep", "ant"))
    assert quarantine() == {}
    assert labels()["train/bee/copy.png"] == "ant"
    rows = [*rows_of(root), ["train/ant/1.png", "bee", "train"]]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv", data__corrections=None)
    prepare.main()
    assert quarantine()["train/ant/1.png"] == "conflicting label"
    correct(ready, row("train/ant/1.png", "keep", "ant"), row("train/ant/0.png", "relabel", "bee"))
    assert quarantine() == {}


def test_a_class_may_lose_all_images_of_val_and_none_of_train(root: Path, ready: Workspace) -> None:
    correct(ready, *(row(f"val/ant/{i}.png", "relabel", "bee") for i in range(4)))
    assert set(manifest().query("split == 'val'")["class"]) == {"bee"}
    for action, label in (("relabel", "bee"), ("exclude", "")):
        with pytest.raises(UserError, match="data.corrections leaves no image of the class 'ant' in train"):
            correct(ready, *(row(f"train/ant/{i}.png", action, label) for i in range(4)))
    with pytest.raises(UserError, match="data.corrections leaves no image in val"):
        correct(ready, *(row(f"val/{name}/{i}.png", "exclude") for name in ("ant", "bee") for i in range(4)))


HASH = "ab" * 32


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"a.png,{HASH},wasp,relabel,", "row 1 of corrections.csv: the label 'wasp' is no class; there are ant bee"),
        (f"a.png,{HASH},Ant,keep,", "row 1 of corrections.csv: the label 'Ant' is no class; did you mean 'ant'"),
        (f"a.png,{HASH},,relabel,", "row 1 of corrections.csv: relabel needs the label"),
        (f"a.png,{HASH},ant,kep,", "row 1 of corrections.csv: the action 'kep' is unknown; did you mean 'keep'"),
        (f"a.png,{HASH},,,", "the action '' is unknown; it should be keep, relabel, exclude or undecided"),
        ("a.png,12ab,ant,keep,", "row 1 of corrections.csv: the sha256 '12ab' should be 64 hexadecimal digits"),
        (f"a.png,{HASH},ant,keep,\nb.png,{HASH},bee,relabel,", "row 1 of corrections.csv and row 2 of corrections.csv contradict each other about b.png: keep as 'ant', and relabel as 'bee'"),
        (f"a.png,{HASH},,exclude,\na.png,{HASH.upper()},bee,keep,", "contradict each other"),
        (f"a.png,{HASH},ant,keep,,more,still\n", "fields are parted by ','"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_right_is_one_line(root: Path, ready: Workspace, text: str, message: str) -> None:
    Path("corrections.csv").write_text(f"{COLUMNS}\n{text}")
    ready.set(data__corrections="corrections.csv")
    with pytest.raises(UserError) as error:
        prepare.main()
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("data/prepared").exists()


def test_a_table_that_cannot_be_read_is_one_line(root: Path, ready: Workspace) -> None:
    ready.set(data__corrections="corrections.csv")
    for contents, message in (
        (None, "data.corrections: there is no file corrections.csv"),
        (b"", "corrections.csv is empty"),
        (
            b"path,sha256,label,action\n",
            "corrections.csv has no column 'note': its columns should be path, sha256, label",
        ),
        (b"\xff\x00\x80 no text", "corrections.csv is not UTF-8 text"),
    ):
        if contents is not None:
            Path("corrections.csv").write_bytes(contents)
        with pytest.raises(UserError, match=message):
            prepare.main()


def test_rows_that_say_the_same_and_what_spreadsheets_write_are_understood(root: Path, ready: Workspace) -> None:
    first = row("val/ant/0.png", "relabel", "bee")
    rows = [first, [*first[:3], "keep", "again"], [*first[:2], "", "undecided", ""]]
    text = "\n".join(";".join(fields) for fields in [COLUMNS.split(","), *rows])
    Path("corrections.csv").write_text(text, encoding="utf-8-sig")
    ready.set(data__corrections="corrections.csv")
    prepare.main()
    assert labels()["val/ant/0.png"] == "bee"
