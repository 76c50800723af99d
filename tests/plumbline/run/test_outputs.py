"""Outputs are whole or absent, and finite."""

import os
from pathlib import Path

import pandas as pd
import pytest

from plumbline.run import outputs
from plumbline.run.errors import UserError
from plumbline.run.outputs import whole_file, whole_file_of_user, whole_folder, write_csv, write_json


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.json"
    write_json(path, {"x": 1})
    with pytest.raises(RuntimeError), whole_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError
    assert path.read_text() == '{\n  "x": 1\n}\n'
    assert [f.name for f in path.parent.iterdir()] == ["a.json"]


def test_a_folder_is_replaced_only_when_it_is_complete_and_loses_what_it_held(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    with whole_folder(path) as partial:
        (partial / "old").touch()
    with pytest.raises(RuntimeError), whole_folder(path) as partial:
        (partial / "half").touch()
        raise RuntimeError
    assert [f.name for f in path.iterdir()] == ["old"]
    with whole_folder(path) as partial:
        (partial / "new").touch()
    assert [f.name for f in path.iterdir()] == ["new"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_in_the_place_of_a_partial_output_is_not_followed(tmp_path: Path) -> None:
    victim, inner = tmp_path / "victim", tmp_path / "inner"
    victim.write_text("mine")
    inner.mkdir()
    (inner / "mine").touch()
    (tmp_path / "a.partial.json").symlink_to(victim)
    (tmp_path / "b.partial").symlink_to(inner)
    write_json(tmp_path / "a.json", {"x": 1})
    with whole_folder(tmp_path / "b") as partial:
        (partial / "new").touch()
    assert victim.read_text() == "mine"
    assert [f.name for f in inner.iterdir()] == ["mine"]
    assert not (tmp_path / "a.json").is_symlink()
    assert not (tmp_path / "b").is_symlink()


def test_among_a_users_files_none_is_taken_for_a_partial_output(tmp_path: Path) -> None:
    (tmp_path / "a.partial.csv").write_text("mine")
    with whole_file_of_user(tmp_path / "a.csv") as partial:
        partial.write_text("new")
    assert {f.name: f.read_text() for f in tmp_path.iterdir()} == {"a.csv": "new", "a.partial.csv": "mine"}


def test_a_users_link_stays_and_a_pipe_gets_what_is_written(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to("real.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    reader = os.open(tmp_path / "pipe.csv", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("link.csv", "pipe.csv"):
        with whole_file_of_user(tmp_path / name) as partial:
            partial.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"
    assert (tmp_path / "pipe.csv").is_fifo()
    assert os.read(reader, 10) == b"new"
    os.close(reader)
    assert len([*tmp_path.iterdir()]) == 3


@pytest.mark.parametrize(
    ("name", "said"), [("folder", "is a folder"), (".", "is a folder"), ("file/a.csv", "file is no folder")]
)
def test_where_a_user_can_have_no_file_it_is_said_before_anything_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Path("file").touch()
    with pytest.raises(UserError, match=said), whole_file_of_user(Path(name)):
        pytest.fail("it was begun")


def test_a_users_file_may_have_the_longest_name(tmp_path: Path) -> None:
    longest = tmp_path / f"{'蜂' * 83}.csv"  # 253 bytes, of 255
    with whole_file_of_user(longest) as partial:
        partial.touch()
    assert [*tmp_path.iterdir()] == [longest]


def test_what_a_killed_run_left_does_not_reach_the_next_output(tmp_path: Path) -> None:
    (tmp_path / "folder.partial").mkdir()
    (tmp_path / "folder.partial" / "left").touch()
    with whole_folder(tmp_path / "folder") as partial:
        (partial / "new").touch()
    assert [f.name for f in (tmp_path / "folder").iterdir()] == ["new"]


def test_killed_while_an_earlier_folder_is_removed_it_leaves_the_new_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()

    def killed(folder: Path, **_: object) -> None:
        for file in folder.glob("*"):
            file.unlink()
            raise SystemExit

    monkeypatch.setattr(outputs.shutil, "rmtree", killed)
    with pytest.raises(SystemExit), whole_folder(path) as partial:
        (partial / "new").touch()
    assert [f.name for f in path.iterdir()] == ["new"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_metric_that_is_not_finite_is_never_written(tmp_path: Path, value: float) -> None:
    with pytest.raises(AssertionError):
        write_json(tmp_path / "a.json", {"x": value})
    assert not (tmp_path / "a.json").exists()


def test_csv_gives_back_every_float_exactly(tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 1e-300, 0.1 + 0.2]
    write_csv(tmp_path / "a.csv", pd.DataFrame({"x": values}))
    assert [float(line) for line in (tmp_path / "a.csv").read_text().splitlines()[1:]] == values
