"""The text of a table: values stay what stands there, whatever the delimiter, the encoding and the spelling of paths."""

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import PREPARED, prepared, quarantine
from tests.support.label_tables import labels, write_images, write_parquet, write_table

# Values stay the text that stands there


ODD = ["01", "1.0", "1", "true", "null", "NA", "nan", "None", "1e3", "-inf", "2024-01-02", "yes", "~", "#N/A"]


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "parquet"])
def test_a_label_stays_the_text_that_stands_there(ready: Workspace, kind: str) -> None:
    names = [f"{i:03}" for i in range(3 * len(ODD))]
    write_images(*(f"{name}.png" for name in names))
    rows = [[name, ODD[i % len(ODD)]] for i, name in enumerate(names)]
    if kind in ("csv", "tsv"):
        write_table(f"labels.{kind}", "id,label", rows, delimiter="," if kind == "csv" else "\t")
    if kind == "parquet":
        write_parquet("labels.parquet", ["id", "label"], rows)
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
