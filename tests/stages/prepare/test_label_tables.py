"""Labels from a table: what class folders give for the same labels, and no row and no file that is lost without a line."""

import csv
import io
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import PROJECT, Workspace, change_params, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, manifest, notes, prepared, quarantine

Rows = Sequence[Sequence[str]]


def write_table(path: str, header: str, rows: Rows, **dialect: object) -> None:
    """Write a table as Python's csv module does, which is not what reads it."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, **dialect).writerows([header.split(","), *rows])


def labels() -> dict[str, str]:
    """The class of each image that is used, by path."""
    return dict(zip(manifest()["path"], manifest()["class"], strict=True))


@pytest.fixture
def root(ready: Workspace) -> Path:
    """Images in train/ and val/, whose folders are their classes."""
    ready.set(data__max_unusable=0.5)
    return write_data_set(Path("images"), images=4)


def rows_of(root: Path) -> list[list[str]]:
    """The path, the class and the split of each image in folders."""
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    return [[path, path.split("/")[1], path.split("/")[0]] for path in paths]


HEADER = "path,label,split"

# The same labels as class folders


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


# The forms of others


def write_images(*paths: str) -> None:
    for number, path in enumerate(paths):
        write_image(Path("images", path), seed=number)


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_a_hugging_face_image_folder_has_a_metadata_file_in_each_split(ready: Workspace, kind: str) -> None:
    """https://huggingface.co/docs/datasets/image_dataset: file_name is relative to the metadata file."""
    own = {"train": ["ant", "bee", "ant", "bee"], "validation": ["bee", "ant"], "test": ["ant", "bee"]}
    for seed, (split, classes) in enumerate(own.items()):
        for i in range(len(classes)):
            write_image(Path(f"images/{split}/{i:04}.png"), seed=100 * seed + i)
        table = pd.DataFrame({"file_name": [f"{i:04}.png" for i in range(len(classes))], "text": "?", "label": classes})
        if kind == "csv":
            table.to_csv(f"images/{split}/metadata.csv", index=False)
        else:
            table.to_json(f"images/{split}/metadata.jsonl", orient="records", lines=True)
    ready.set(data__labels_in_root=f"metadata.{kind}")
    prepare.main()
    assert labels() == {f"{split}/{i:04}.png": name for split, names in own.items() for i, name in enumerate(names)}
    assert manifest().groupby("split").size().to_dict() == {"train": 4, "val": 2, "test": 2}
    assert quarantine() == {}


def test_a_competition_has_ids_without_suffix_and_a_test_folder_without_labels(ready: Workspace) -> None:
    """https://www.kaggle.com/c/dog-breed-identification: labels.csv has the columns id and breed."""
    ids = [f"{seed:08x}21bfe0cb5ec8" for seed in range(24)]
    for number, own in enumerate(ids):
        write_image(Path(f"images/train/{own}.jpg"), seed=number)
        write_image(Path(f"images/test/{number:08x}ffff.jpg"), seed=1000 + number)
    breeds = {own: ("boston_bull", "golden_retriever")[number % 2] for number, own in enumerate(ids)}
    write_table("images/labels.csv", "id,breed", list(breeds.items()))
    write_table("images/sample_submission.csv", "id,boston_bull,golden_retriever", [[f"{0:08x}ffff", "0.5", "0.5"]])
    ready.set(data__labels="images/labels.csv")
    prepare.main()
    assert labels() == {f"train/{own}.jpg": breed for own, breed in breeds.items()}
    assert set(manifest()["split"]) == {"train", "val", "test"}  # chosen among those with labels
    unlabelled = [f"test/{number:08x}ffff.jpg" for number in range(24)]
    assert quarantine() == dict.fromkeys([*unlabelled, "sample_submission.csv"], "no label")


def task(number: int, image: str, *choices: list[str], cancelled: bool = False) -> dict:
    """A task of Label Studio's JSON export with an annotation for each list of choices."""
    return {
        "id": number,
        "annotations": [
            {
                "id": 10 * number + i,
                "completed_by": 1 + i,
                "result": [
                    {
                        "value": {"choices": own}, "id": "Dx_aB91ISN", "from_name": "insect", "to_name": "image",
                        "type": "choices", "origin": "manual",
                    }
                ],
                "was_cancelled": cancelled, "ground_truth": False, "lead_time": 4.288, "task": number,
            }
            for i, own in enumerate(choices)
        ],
        "file_upload": image.rpartition("/")[2], "drafts": [],
        "predictions": [{"model_version": "1", "result": [{"value": {"choices": ["wasp"]}, "from_name": "insect", "type": "choices"}]}],
        "data": {"image": image}, "meta": {}, "inner_id": number, "total_annotations": len(choices), "project": 29,
    }  # fmt: skip


def test_label_studios_json_export_gives_the_choices(ready: Workspace) -> None:
    """https://labelstud.io/guide/task_format: an upload's name has eight digits before it, a local file's is quoted."""
    write_images("1.png", "2.png", "3 é.png", "4.png", "5.png", "b/6.png", "7.png", "8.png", "9.png")
    tasks = [
        task(1, "/data/upload/29/0225a044-1.png", ["ant"]),
        task(2, "/data/upload/29/1a2b3c4d-2.png", ["bee"], ["bee"]),  # two annotators who agree
        task(3, "/data/local-files/?d=images/3%20%C3%A9.png", ["ant"]),
        task(4, "https://example.com/opensource/4.png", ["bee"]),
        task(5, "s3://bucket/images/5.png", ["ant"], ["bee"]),  # two who do not
        task(6, "/data/local-files/?d=b/6.png", ["ant"]),
        task(7, "/data/upload/29/ffffffff-7.png", ["bee"], cancelled=True),
        task(8, "/data/upload/29/ffffffff-8.png"),
        task(9, "/data/upload/29/ffffffff-9.png", ["bee"]),
    ]
    Path("export.json").write_text(json.dumps(tasks))
    ready.set(data__labels="export.json", data__test_share=0.0, data__max_unusable=1.0)
    prepare.main()
    assert labels() == {
        "1.png": "ant",
        "2.png": "bee",
        "3 é.png": "ant",
        "4.png": "bee",
        "b/6.png": "ant",
        "9.png": "bee",
    }
    assert quarantine() == {"5.png": "conflicting label", "7.png": "no label", "8.png": "no label"}


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_label_studios_short_exports_are_tables(ready: Workspace, kind: str) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    records = [
        {"annotation_id": 900 + i, "annotator": 1, "choice": "ant" if i % 2 else "bee", "id": 70 + i,
         "image": f"/data/upload/29/0225a04{i}-{i}.png", "lead_time": 3.1}
        for i in range(8)
    ]  # fmt: skip
    if kind == "csv":
        pd.DataFrame(records).to_csv("export.csv", index=False)
    else:
        Path("export.json").write_text(json.dumps(records))
    ready.set(data__labels=f"export.{kind}")
    prepare.main()
    assert labels() == {f"{i}.png": "ant" if i % 2 else "bee" for i in range(8)}


# Values stay the text that stands there


ODD = ["01", "1.0", "1", "true", "null", "NA", "nan", "None", "1e3", "-inf", "2024-01-02", "yes", "~", "#N/A"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json"])
def test_a_label_stays_the_text_that_stands_there(ready: Workspace, kind: str) -> None:
    names = [f"{i:03}" for i in range(3 * len(ODD))]
    write_images(*(f"{name}.png" for name in names))
    rows = [[name, ODD[i % len(ODD)]] for i, name in enumerate(names)]
    if kind in ("csv", "tsv"):
        write_table(f"labels.{kind}", "id,label", rows, delimiter="," if kind == "csv" else "\t")
    records = [{"id": name, "label": label} for name, label in rows]
    text = json.dumps(records) if kind == "json" else "\n".join(map(json.dumps, records))
    if kind.startswith("json"):
        Path(f"labels.{kind}").write_text(text)
    ready.set(data__labels=f"labels.{kind}")
    prepare.main()
    assert labels() == {f"{name}.png": label for name, label in rows}


def test_numbers_and_flags_of_json_are_read_as_they_are_written(ready: Workspace) -> None:
    written = ["0", "1.0", "1.50", "1e3", "true", "false"]
    lines = [f'{{"file_name": "{i}.png", "label": {written[i % 6]}}}' for i in range(18)]
    write_images(*(f"{i}.png" for i in range(19)))
    Path("labels.jsonl").write_text("\n".join([*lines, "", '{"file_name": "18.png", "label": null}', ""]))
    ready.set(data__labels="labels.jsonl")
    prepare.main()
    assert labels() == {f"{i}.png": written[i % 6] for i in range(18)}
    assert quarantine() == {"18.png": "no label"}


ODD_NAMES = [
    "a/b",
    "../c",
    "-rf",
    "<b>bee</b>",
    "🐝",
    "x, y",
    'say "hi"',
    "two\u00a0words",
    ".hidden",
    "$\\alpha$",
    "x" * 255,
]


def test_a_class_may_have_a_name_that_a_folder_could_not_have(ready: Workspace) -> None:
    write_images(*(f"{i}.png" for i in range(3 * len(ODD_NAMES))))
    wanted = {f"{i}.png": ODD_NAMES[i % len(ODD_NAMES)] for i in range(3 * len(ODD_NAMES))}
    write_table("labels.csv", "image,label", list(wanted.items()))
    ready.set(data__labels="labels.csv")
    prepare.main()
    assert labels() == wanted
    assert json.loads((PREPARED / "classes.json").read_text()) == sorted(ODD_NAMES)


# Other ways to write the same table


def reencoded(encoding: str) -> Callable[[Path], None]:
    def change(table: Path) -> None:
        table.write_bytes(table.read_text(encoding="utf-8").encode(encoding))

    return change


def rewritten(**dialect: object) -> Callable[[Path], None]:
    def change(table: Path) -> None:
        header, *rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
        write_table(str(table), ",".join(header), rows, **dialect)

    return change


def with_paths(change_path: Callable[[str], str]) -> Callable[[Path], None]:
    def change(table: Path) -> None:
        header, *rows = list(csv.reader(table.read_text(encoding="utf-8").splitlines()))
        write_table(str(table), ",".join(header), [[change_path(path), *rest] for path, *rest in rows])

    return change


@pytest.mark.parametrize(
    "change",
    [
        reencoded("utf-8-sig"), reencoded("utf-16"), rewritten(delimiter=";"), rewritten(delimiter="\t"),
        rewritten(delimiter="|"), rewritten(lineterminator="\n"), rewritten(quoting=csv.QUOTE_ALL),
        with_paths(lambda path: path.replace("/", "\\")), with_paths(str.upper), with_paths(lambda path: f"./{path}"),
        with_paths(lambda path: f"images/{path}"), with_paths(lambda path: f"Images\\{path}"),
        with_paths(lambda path: str(Path("images", path).absolute())), with_paths(lambda path: f" {path} "),
        with_paths(lambda path: path.removesuffix(".png")), with_paths(lambda path: f"../workspace/images/{path}"),
        with_paths(lambda path: unicodedata.normalize("NFD", path)),
    ],
)  # fmt: skip
def test_delimiter_encoding_and_spelling_of_paths_change_nothing(
    ready: Workspace, change: Callable[[Path], None]
) -> None:
    for i in range(12):
        write_image(Path("images", "é" if i % 2 else "b", f"É {i}.png"), seed=i)
    write_table("labels.csv", "path,label", [[f"{'é' if i % 2 else 'b'}/É {i}.png", f"é{i % 2}"] for i in range(12)])
    ready.set(data__labels="labels.csv")
    prepare.main()
    before = prepared()
    change(Path("labels.csv"))
    prepare.main()
    assert prepared() == before


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_json_may_have_a_byte_order_mark_and_a_label_two_unicode_forms(ready: Workspace, encoding: str) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    classes = [("caf\u00e9", "cafe\u0301", "tea")[i % 3] for i in range(8)]
    records = [{"file_name": f"{i}.png", "label": name} for i, name in enumerate(classes)]
    Path("labels.jsonl").write_bytes("\n".join(json.dumps(own, ensure_ascii=False) for own in records).encode(encoding))
    ready.set(data__labels="labels.jsonl", data__test_share=0.0)
    prepare.main()
    assert json.loads((PREPARED / "classes.json").read_text()) == ["caf\u00e9", "tea"]


def test_of_two_files_that_differ_in_case_the_one_as_written_is_meant(ready: Workspace) -> None:
    write_images(*(f"{i}.png" for i in range(10)), *(f"{i}.PNG" for i in range(10)))
    wanted = {f"{i}.{suffix}": label for i in range(10) for suffix, label in (("png", "ant"), ("PNG", "bee"))}
    write_table("labels.csv", "path,label", list(wanted.items()))
    ready.set(data__labels="labels.csv")
    prepare.main()
    assert labels() == wanted


@pytest.mark.parametrize("enclosed", [False, True])
def test_a_table_in_an_archive_or_beside_it_is_read(ready: Workspace, root: Path, enclosed: bool) -> None:
    rows = rows_of(root)
    write_table("images/labels.csv", HEADER, rows)
    ready.set(data__labels="images/labels.csv")
    prepare.main()
    before = prepared()
    base = {"root_dir": ".", "base_dir": "images"} if enclosed else {"root_dir": "images"}
    ready.set(
        data__root=shutil.make_archive("images", "zip", **base), data__labels=None, data__labels_in_root="labels.csv"
    )
    prepare.main()
    assert prepared() == before
    write_table("beside.csv", HEADER, [[f"images/{path}", *rest] for path, *rest in rows])
    ready.set(data__labels="beside.csv", data__labels_in_root=None)
    prepare.main()
    after = prepared()
    assert {name for name in after if after[name] != before[name]} == {"audit/quarantine.csv", "audit/counts.csv"}
    assert quarantine() == {"labels.csv": "no label"}


# What is not used is listed


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
    assert details["train/extra.png"] == "no row of labels.csv names it"
    assert notes() == {"train/bee/0.png": "row 5 of labels.csv and row 18 of labels.csv name it"}
    found = pd.read_csv("data/audit/counts.csv", index_col="finding")["count"]
    assert (found["quarantined"], found["quarantined_no_file"], found["quarantined_no_label"]) == (7, 2, 3)
    assert found["conflicting_labels"] == 1
    assert "train/fly/9.png: no file, row 19 of labels.csv names it" in capsys.readouterr().out


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
        ("t.parquet", b"PAR1", "t.parquet: Parquet is not read, because it needs pyarrow"),
        ("t.xlsx", b"PK", "t.xlsx: a table of labels is a .csv, .tsv, .jsonl or .json"),
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


def test_two_questions_of_label_studio_need_a_name(ready: Workspace) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    tasks = [task(i, f"{i}.png", ["ant" if i % 2 else "bee"]) for i in range(8)]
    for own in tasks:
        own["annotations"][0]["result"].append(
            {"value": {"choices": ["sharp"]}, "from_name": "quality", "type": "choices"}
        )
    Path("export.json").write_text(json.dumps(tasks))
    ready.set(data__labels="export.json")
    with pytest.raises(UserError, match="export.json has the choices 'insect', 'quality': name in data.columns.label"):
        prepare.main()
    ready.set(data__columns__label="insect")
    prepare.main()
    assert set(labels().values()) == {"ant", "bee"}


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
