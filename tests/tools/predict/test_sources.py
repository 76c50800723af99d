"""What the command takes: files, folders, patterns, archives and lists; what gives no image, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import PROJECT, write_image
from tests.tools.predict.conftest import paths, predict, rows


def test_files_folders_patterns_archives_and_lists_are_taken_in_their_order(folder: Path) -> None:
    for name in ("a.png", "photos/z.png", "photos/deep/b.jpg", "more/x/1.png", "more/2.png", "photos/.hidden.png"):
        write_image(Path(name))
    with zipfile.ZipFile("old.zip", "w") as packed:
        packed.write("a.png", "inside/c.png")
    assert paths("old.zip", "photos", "a.png", "more/**/*.png") == [
        "old.zip/inside/c.png",
        "photos/deep/b.jpg",
        "photos/z.png",
        "a.png",
        "more/2.png",
        "more/x/1.png",
    ]
    assert paths("more/*") == ["more/2.png", "more/x/1.png"]
    assert paths("-", list_=b"a.png\nphotos/z.png\n") == ["a.png", "photos/z.png"]
    write_image(Path("two\nlines.png"))
    assert paths("--null", "-", list_=b"two\nlines.png\0a.png\0") == ["two\nlines.png", "a.png"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_list_with_a_byte_order_mark_keeps_its_first_image(folder: Path, encoding: str) -> None:
    for name in ("a.png", "蜂.png"):
        write_image(Path(name))
    assert paths("-", list_="a.png\r\n蜂.png\r\n".encode(encoding)) == ["a.png", "蜂.png"]


def test_files_that_give_no_image_are_rows_with_their_reason(folder: Path) -> None:
    write_image(Path("photos/good.png"))
    whole = Path("photos/good.png").read_bytes()
    Path("photos/cut.png").write_bytes(whole[:100])
    Path("photos/empty.jpg").touch()
    Image.new("1", (12_000, 10_000)).save("photos/bomb.png")
    os.mkfifo("photos/pipe.png")
    Path("photos/loop").symlink_to("..")
    Path("photos/nothing.png").symlink_to("nowhere.png")
    found = {row["path"]: (row["reason"], row["detail"]) for row in rows("photos", status=3)}
    assert found.pop("photos/good.png") == ("", "")
    assert {path.removeprefix("photos/"): reason for path, (reason, _) in found.items()} == {
        "bomb.png": "too large",
        "cut.png": "truncated",
        "empty.jpg": "empty",
        "loop": "unreadable",
        "nothing.png": "unreadable",
        "pipe.png": "unreadable",
    }
    assert found["photos/bomb.png"][1] == "12000 x 10000 pixels, more than 100,000,000"
    assert found["photos/loop"][1] == "a folder that may not be listed, or a link to a folder"
    assert rows("photos/bomb.png", "--max-pixels", 178_956_970)[0]["reason"] == ""
    assert "--max-pixels: many is no whole number" in predict("photos", "--max-pixels", "many", status=2)[1]
    assert "178956971 is more than 178,956,970" in predict("photos", "--max-pixels", 178_956_971, status=2)[1]


def test_a_listed_file_that_is_not_there_is_a_row_and_a_named_one_an_error(folder: Path) -> None:
    write_image(Path("a.png"))
    missing, there = rows("-", list_=b"missing.png\na.png\n", status=3)
    assert (missing["reason"], missing["detail"]) == ("unreadable", "No such file or directory")
    assert there["reason"] == ""
    assert "error: there is no file or folder missing.png" in predict("a.png", "missing.png", status=1)[1]


def test_no_line_of_a_list_keeps_the_others_from_being_classified(folder: Path) -> None:
    for name in ("a.png", "c\rd.png"):
        write_image(Path(name))
    Path("cut.zip").write_bytes(b"PK\3\4 and no more")
    list_ = b"%s\ncut.zip\nc\rd.png\na.png\r\n" % (b"x" * 300)
    assert [(row["path"], row["reason"], row["detail"]) for row in rows("-", list_=list_, status=3)] == [
        ("x" * 300, "unreadable", "File name too long"),
        ("cut.zip", "unreadable", "cut.zip is neither a folder nor a whole .zip, .tar or .tar.gz archive"),
        ("c\rd.png", "", ""),
        ("a.png", "", ""),
    ]


NO_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"] if os.getuid() == 0 else []


@pytest.mark.slow
def test_a_folder_without_rights_is_an_error_when_named_and_a_row_below_another(folder: Path) -> None:
    write_image(Path("photos/a.png"))
    write_image(Path("photos/locked/b.png"))
    Path("photos/locked").chmod(0)
    shutil.copy("models/finetuned.safetensors", "locked.safetensors")
    Path("locked.safetensors").chmod(0)
    lines = ["photos/locked/b.png", "photos/locked", "photos/a.png"]
    try:
        command = [*NO_RIGHTS, sys.executable, "-m", "tools.predict", "--format", "jsonl"]
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        below = subprocess.run([*command, "photos"], env=environment, capture_output=True, text=True, check=False)
        named, within, by_locked_model = (
            subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
            for arguments in (
                ["photos/locked"],
                ["photos/locked/b.png"],
                ["photos/a.png", "--model", "locked.safetensors"],
            )
        )
        listed = subprocess.run(
            [*command, "-"], env=environment, capture_output=True, text=True, check=False, input="\n".join(lines)
        )
    finally:
        Path("photos/locked").chmod(0o700)
    assert below.returncode == 3, below.stderr
    _, locked = map(json.loads, below.stdout.splitlines())
    assert (locked["path"], locked["reason"]) == ("photos/locked", "unreadable")
    assert named.returncode == 1
    assert named.stderr.startswith("error: photos/locked: Permission denied")
    assert within.stderr.startswith("error: photos/locked/b.png: Permission denied")
    assert by_locked_model.stderr.startswith("error: locked.safetensors: Permission denied")
    found = {row["path"]: row.get("reason") for row in map(json.loads, listed.stdout.splitlines())}
    assert found == dict(zip(lines, ["unreadable", "unreadable", None], strict=True))


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["*.gif"], "error: no file matches *.gif"),
        (["empty"], "error: empty holds no files"),
        (["a.png", "--top", "4"], "error: --top is 4, and the model knows 3 classes"),
        (["cut.zip"], "error: cut.zip is neither a folder nor a whole .zip, .tar or .tar.gz archive"),
        (["a.png", "--model", "models"], "error: models is no file"),
        (["-"], "error: - holds no files"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder: Path, arguments: list[str], line: str) -> None:
    write_image(Path("a.png"))
    Path("empty").mkdir()
    Path("cut.zip").write_bytes(b"PK\3\4 and no more")
    output, errors = predict(*arguments, status=1)
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(line)
