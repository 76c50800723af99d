"""Of a table of labels no row and no file is lost: what is not used is listed, and a mistake is one line."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import PREPARED, notes, prepared, quarantine
from tests.support.label_tables import HEADER, labels, rows_of, write_table


def test_every_row_and_every_file_is_used_or_listed(
    root: Path, ready: Workspace, capsys: pytest.CaptureFixture
) -> None:
    rows = rows_of(root)  # of train/ant/0.png to train/ant/3.png first
    write_image(root / "train/extra.png", seed=77)
    (root / "train/bee/3.png").write_bytes(b"broken")
    rows[0][1] = ""
    rows[1][1] = "  "
    rows += [
        ["train/ant/3.png", "bee", "train"],
        ["train/bee/0.png", "bee", "train"],
        ["train/fly/9.png", "ant", ""],
        ["", "ant", ""],
    ]
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    assert quarantine() == {
        "train/ant/0.png": "no label", "train/ant/1.png": "no label", "train/extra.png": "no label",
        "train/ant/3.png": "conflicting label", "train/bee/3.png": "not an image",
        "train/fly/9.png": "no file", "": "no file",
    }  # fmt: skip
    details = pd.read_csv("data/audit/quarantine.csv", keep_default_na=False, index_col="path")["detail"]
    assert details["train/ant/3.png"] == "row 4 of labels.csv and row 17 of labels.csv label it 'ant' and 'bee'"
    assert details["train/fly/9.png"] == "row 19 of labels.csv names it"
    assert details[""] == "row 20 of labels.csv has no path"
    assert details["train/extra.png"] == "no row of labels.csv names it"
    assert notes() == {"train/bee/0.png": "row 5 of labels.csv and row 18 of labels.csv name it"}
    found = pd.read_csv("data/audit/counts.csv", index_col="finding")["count"]
    assert (found["quarantined"], found["quarantined_no_file"], found["quarantined_no_label"]) == (7, 2, 3)
    assert found["conflicting_labels"] == 1
    printed = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "train/fly/9.png: no file, row 19 of labels.csv names it" in printed
    assert "no file, row 20 of labels.csv has no path" in printed


def test_of_two_labels_the_policy_keeps_the_first_or_ends_the_stage(root: Path, ready: Workspace) -> None:
    write_table("labels.csv", HEADER, [*rows_of(root), ["train/ant/0.png", "bee", "train"]])
    ready.set(data__labels="labels.csv", data__conflicts="keep")
    prepare.main()
    assert labels()["train/ant/0.png"] == "ant"
    assert "label it 'ant' and 'bee'" in notes()["train/ant/0.png"]
    ready.set(data__conflicts="fail")
    with pytest.raises(UserError, match="train/ant/0.png: conflicting label: row 1 of labels.csv and row 17"):
        prepare.main()


def test_rows_without_a_file_count_among_what_gives_no_image(root: Path, ready: Workspace) -> None:
    write_table("labels.csv", HEADER, [*rows_of(root), *([f"gone-{i}.png", "ant", "train"] for i in range(4))])
    ready.set(data__labels="labels.csv", data__max_unusable=0.15)
    with pytest.raises(
        UserError, match="4 of 20 files give no image, .*the first is gone-0.png: no file, row 17 of labels.csv"
    ):
        prepare.main()
    ready.set(data__max_unusable=1.0, data__undecodable="fail")
    with pytest.raises(UserError, match="gone-0.png: no file, row 17 of labels.csv names it"):
        prepare.main()


@pytest.mark.parametrize("name", ["labels.csv", "labels.tsv"])
def test_rows_without_any_value_are_no_rows(root: Path, ready: Workspace, name: str) -> None:
    rows, delimiter = [[*row, "", "note"] for row in rows_of(root)], "\t" if name.endswith("tsv") else ","
    write_table(name, f"{HEADER},group,remark", rows, delimiter=delimiter)
    ready.set(data__labels=name, data__max_unusable=0.0)
    prepare.main()
    before = prepared()
    empty = [[""] * 5, [" ", "", "\t ", "", "\u00a0"], ["", ""]]
    write_table(name, f"{HEADER},group,remark", [*rows, *empty], delimiter=delimiter)
    prepare.main()
    assert prepared() == before
    write_table(name, f"{HEADER},group,remark", [*empty, *rows, ["", "ant", "", "", ""]], delimiter=delimiter)
    with pytest.raises(UserError, match=f"1 of 17 files .* first is no file, row 20 of {name} has no path$"):
        prepare.main()
    write_table(name, f"{HEADER},group,remark", empty, delimiter=delimiter)
    with pytest.raises(UserError, match=f"{name} has no row"):
        prepare.main()


def edit(row: int, column: int, value: str) -> Callable[[list[list[str]]], str]:
    def change(rows: list[list[str]]) -> str:
        rows[row][column] = value
        return HEADER

    return change


def add(*row: str) -> Callable[[list[list[str]]], str]:
    def change(rows: list[list[str]]) -> str:
        rows.append(list(row))
        return HEADER

    return change


def keep(wanted: Callable[[list[str]], bool]) -> Callable[[list[list[str]]], str]:
    def change(rows: list[list[str]]) -> str:
        rows[:] = filter(wanted, rows)
        return HEADER

    return change


def called(header: str) -> Callable[[list[list[str]]], str]:
    return lambda rows: header


@pytest.mark.parametrize(
    ("change", "values", "message"),
    [
        (edit(0, 1, "x" * 256), {}, "row 1 of labels.csv: the label 'x{40}'... is no class name: these have at most 255 bytes"),
        (edit(0, 1, "a\x07"), {}, r"row 1 of labels.csv: the label 'a\\x07' is no class name: .*no control characters"),
        (edit(0, 1, "Ant"), {}, "the labels 'ant' and 'Ant' differ only in upper and lower case: give both the same name"),
        (edit(0, 2, "fold1"), {}, "row 1 of labels.csv: 'fold1' is no split: it should be train, val or test, or empty"),
        (add("train/ant/0.png", "ant", "val"), {}, "row 1 of labels.csv and row 17 of labels.csv give train/ant/0.png the splits 'train' and 'val'"),
        (edit(0, 0, "0.png"), {}, "row 1 of labels.csv: the path '0.png' may be train/ant/0.png or train/bee/0.png: give more"),
        (add("val/ant/0.png", "ant", "val", "more"), {}, "labels.csv: Expected 3 fields in line 18, saw 4 .fields are parted by ','"),
        (add("train/wasp/0.png", "wasp", "train"), {}, "no image that labels.csv labels 'wasp' in train is usable: add some, or leave the label out with data.classes"),
        (edit(15, 1, "wasp"), {}, "labels.csv has the label 'wasp' in val, which no row of train has: ant bee; add it there, or name"),
        (keep(lambda row: row[1] == "ant"), {}, "labels.csv must have rows of at least two labels; it has 'ant'"),
        (keep(lambda row: row[2] == "train"), {}, "labels.csv has rows of train, and none of val for a file in images: add some, or set data.carve to true"),
        (keep(lambda row: row[2] == "val"), {}, "labels.csv has rows of val and none of train"),
        (keep(lambda row: False), {}, "labels.csv has no row"),
        (called("a,b,c"), {}, "labels.csv has the columns 'a', 'b', 'c', of which none is known as the path: name it in data.columns.path"),
        (called("path,b,c"), {}, "none is known as the label: name it in data.columns.label"),
        (called("path,label,class"), {}, "labels.csv has the columns 'label', 'class': name one in data.columns.label"),
        (called(HEADER), {"data__columns__label": "lable"}, "data.columns.label names 'lable', which labels.csv does not have; did you mean 'label'"),
        (called(HEADER), {"data__exclude": ["train/ant/9.png"]}, "data.exclude names 'train/ant/9.png', which is no file of images; did you mean"),
        (called(HEADER), {"data__classes": ["ant", "be"]}, "data.classes names 'be', which no row of labels.csv has; did you mean 'bee'"),
        (called("path,label,group"), {"data__groups": "(a)"}, "data.groups is set, and labels.csv has a column of groups: set data.groups to null"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_table_is_one_line(
    root: Path, ready: Workspace, change: Callable[[list[list[str]]], str], values: dict, message: str
) -> None:
    rows = rows_of(root)
    write_table("labels.csv", change(rows), rows)
    ready.set(data__labels="labels.csv", **values)
    with pytest.raises(UserError, match=message) as error:
        prepare.main()
    assert "\n" not in str(error.value)
    assert not PREPARED.exists()


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("t.csv", b"", "t.csv is empty"),
        ("t.csv", "path,label\né.png,a\n".encode("latin-1"), "t.csv is not UTF-8 text, first in line 2: save it as UTF-8"),
        ("t.csv", b"\xff\xfep\x00a", "t.csv is not UTF-16 text, first in line 1"),
        ("t.csv", b"path,label\na.png,x,y\nb.png,x,y\n", "t.csv: its rows have more fields than its header"),
        ("t.csv", b'path,label\na.png,"x\n', "t.csv: EOF inside string"),
        ("t.csv", b"path,label\nnowhere.png,a\nb.png,b\n", "none of the 2 paths in t.csv, such as 'nowhere.png', is that of a file in images: give them relative to data.root"),
        ("t.jsonl", b'{"path": "a.png", "label": "x"}\n{"path": }\n', "t.jsonl, line 2 is not valid JSON"),
        ("t.jsonl", b'["a.png", "x"]\n', "t.jsonl, line 1: should be a record in braces"),
        ("t.jsonl", b'{"path": "a.png", "label": ["x", "y"]}\n', "t.jsonl, row 1: its label is .*: it should be one text"),
        ("t.jsonl", b'{"path": "a.png", "label": "\\ud800"}\n', "t.jsonl: the label .* is no class name"),
        ("t.json", b'{"path": "a.png"}', "t.json should hold a list of records"),
        ("t.jsonl", b"\n", "t.jsonl is empty"),
        ("t.json", b"[]", "t.json is empty"),
        ("t.json", b"[" * 100_000, "t.json is nested too deeply|not valid JSON"),
        ("t.json", b'[{"data": {"image": "1.png"}, "annotations": []}]', "t.json has no choices: name in data.columns.label"),
        ("t.json", b'[{"data": {"image": "1.png"}, "annotations": [7]}]', "t.json is not as Label Studio exports its tasks"),
        ("t.parquet", b"PAR1", "t.parquet cannot be read as Parquet: .* File 't.parquet' too small"),
        ("t.parquet", b"path,label\na.png,x\n", "t.parquet cannot be read as Parquet: .* No magic bytes"),
        ("t.xlsx", b"PK", "t.xlsx: a table of labels is a .csv, .tsv, .jsonl, .json or .parquet"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_table_is_one_line(
    root: Path, ready: Workspace, name: str, contents: bytes, message: str
) -> None:
    Path(name).write_bytes(contents)
    ready.set(data__labels=name)
    with pytest.raises(UserError, match=message):
        prepare.main()


def test_a_table_that_is_not_there_is_named(root: Path, ready: Workspace) -> None:
    ready.set(data__labels="nowhere.csv")
    with pytest.raises(UserError, match="data.labels: there is no file nowhere.csv"):
        prepare.main()
    write_table("images/metadata.csv", HEADER, rows_of(root))
    ready.set(data__labels=None, data__labels_in_root="metadta.csv")
    with pytest.raises(UserError, match="images holds no metadta.csv: did you mean 'metadata.csv'"):
        prepare.main()
