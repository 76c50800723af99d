"""The benchmark that reads damaged files: a few cases of each quick kind, and what it takes for a fault."""

from pathlib import Path

import pytest

from benchmarks import hostile_files
from plumbline.run.errors import UserError


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the files that cause a fault, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    hostile_files.KEPT.mkdir()
    return hostile_files.KEPT


# Images in every format and mode that this project's Pillow both writes and reads: fewer mean that reading got worse.
@pytest.mark.medium
@pytest.mark.parametrize(("kind", "forms"), [("images", 185), ("archives", 14)])
def test_every_case_is_used_or_refused(kind: str, forms: int, kept: Path) -> None:
    found = hostile_files.tried(kind, 500)
    assert found["forms"] == forms
    assert found["faults"] == []
    assert found["used"] + found["refused"] == 500
    assert list(kept.iterdir()) == []


def test_the_same_seed_gives_the_same_cases() -> None:
    wholes = hostile_files.whole_archives()
    assert list(hostile_files.cases(wholes, 30)) == list(hostile_files.cases(wholes, 30))


def test_an_exception_and_a_file_outside_are_faults(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(archive: Path, folder: Path) -> None:
        if archive.read_bytes() in whole:
            return
        (folder.parent / "outside").touch()

    whole = list(hostile_files.whole_archives().values())
    monkeypatch.setattr(hostile_files, "extract", careless)
    found = hostile_files.tried("archives", 3)
    assert [fault.split(": ", 1)[1] for fault in found["faults"]] == ["AssertionError: it has written outside"] * 3
    assert len(list(kept.iterdir())) == 3


def test_an_error_of_several_lines_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def wordy(archive: Path, folder: Path) -> None:
        if archive.read_bytes() not in whole:
            raise UserError("one\ntwo")

    whole = list(hostile_files.whole_archives().values())
    monkeypatch.setattr(hostile_files, "extract", wordy)
    assert len(hostile_files.tried("archives", 3)["faults"]) == 3
