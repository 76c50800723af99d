"""Outputs are whole or absent, and finite."""

from pathlib import Path

import pandas as pd
import pytest

from plumbline.run import outputs
from plumbline.run.outputs import whole_file, whole_folder, write_csv, write_json


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
    with whole_file(tmp_path / "a.csv", among_others=True) as partial:
        partial.write_text("new")
    assert {f.name: f.read_text() for f in tmp_path.iterdir()} == {"a.csv": "new", "a.partial.csv": "mine"}


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
