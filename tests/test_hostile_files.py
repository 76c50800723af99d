"""The benchmark that reads damaged files: a few cases of each quick kind, and what it takes for a fault."""

import random
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save

from benchmarks.hostile_files import __main__ as hostile_files
from benchmarks.hostile_files.changes import cases, with_changed_tensors
from benchmarks.hostile_files.whole_files import whole_archives
from plumbline.run.errors import UserError


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for the files that cause a fault, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    hostile_files.KEPT.mkdir()
    return hostile_files.KEPT


# Images in every format and mode that this project's Pillow both writes and reads: fewer mean that reading got worse.
@pytest.mark.medium
@pytest.mark.parametrize(("kind", "forms", "number"), [("images", 185, 500), ("archives", 14, 500), ("models", 2, 60)])
def test_every_case_is_used_or_refused(kind: str, forms: int, number: int, kept: Path) -> None:
    found = hostile_files.tried(kind, number)
    assert found["forms"] == forms
    assert found["faults"] == []
    assert found["used"] + found["refused"] == number
    assert list(kept.iterdir()) == []


def test_the_same_seed_gives_the_same_cases_at_any_time(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(cases(whole_archives(), 30))
    monkeypatch.setattr(time, "time", lambda: 1e9)
    assert list(cases(whole_archives(), 30)) == before


@pytest.mark.medium
def test_changed_tensors_are_whole_files_that_lack_some_or_have_others() -> None:
    whole = {"unknown.mean": torch.ones(3), "val.labels": torch.zeros(4, dtype=torch.int64), "fc.weight": torch.ones(2)}
    seen, chance = set(), random.Random(0)
    for _ in range(200):
        found = load(with_changed_tensors(save(whole, {"plumbline": "{}"}), chance))
        seen |= {"missing"} if whole.keys() - found.keys() else set()
        seen |= {"additional"} if found.keys() - whole.keys() else set()
        for name in whole.keys() & found.keys():
            own, was = found[name], whole[name]
            seen |= {"shape"} if own.shape != was.shape else set()
            seen |= {"type"} if own.dtype != was.dtype else set()
            seen |= {"large"} if own.numel() > 10**6 else set()
            seen |= {"no number"} if own.is_floating_point() and own.isnan().any() else set()
            seen |= {"negative"} if own.dtype == torch.int64 and (own < 0).any() else set()
    assert seen == {"missing", "additional", "shape", "type", "large", "no number", "negative"}


def test_an_exception_and_a_file_outside_are_faults(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(archive: Path, folder: Path) -> None:
        if archive.read_bytes() in whole:
            return
        (folder.parent / "outside").touch()

    whole = list(whole_archives().values())
    monkeypatch.setattr(hostile_files, "extract", careless)
    found = hostile_files.tried("archives", 3)
    assert [fault.split(": ", 1)[1] for fault in found["faults"]] == ["AssertionError: it has written outside"] * 3
    assert len(list(kept.iterdir())) == 3


def test_an_error_of_several_lines_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def wordy(archive: Path, folder: Path) -> None:
        if archive.read_bytes() not in whole:
            raise UserError("one\ntwo")

    whole = list(whole_archives().values())
    monkeypatch.setattr(hostile_files, "extract", wordy)
    assert len(hostile_files.tried("archives", 3)["faults"]) == 3
