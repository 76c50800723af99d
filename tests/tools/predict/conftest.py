"""A folder to predict in: a small model with random weights, and a way to call the command there."""

import csv
import io
from pathlib import Path

import pytest

from plumbline.model.model_file import write_model
from tests.support.forked import Forked
from tests.support.models import small_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with models/finetuned.safetensors."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_model(Path("models/finetuned.safetensors"), small_model())
    return folder


def predict(*arguments: object, list_: bytes = b"", status: int = 0) -> tuple[str, str]:
    """Run the command in the current directory; return what it prints to standard output and to standard error."""
    found, output, errors = Forked("tools.predict", *arguments, environment={}, contents=list_).wait()
    assert found == status, f"{arguments} ended with {found}:\n{output}\n{errors}"
    assert "Traceback" not in errors
    return output, errors


def rows(*arguments: object, **options: object) -> list[dict[str, str]]:
    """Return what the command says, from its CSV."""
    return list(csv.DictReader(io.StringIO(predict(*arguments, "--format", "csv", **options)[0])))


def paths(*arguments: object, **options: object) -> list[str]:
    return [row["path"] for row in rows(*arguments, **options)]
