"""A folder to predict in: a small model with random weights, and a way to call the command there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.model_file import write_model
from tests.conftest import PROJECT
from tests.models import small_model


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with models/finetuned.safetensors."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    write_model(Path("models/finetuned.safetensors"), small_model())
    return folder


def predict(*arguments: object, list_: bytes = b"", status: int = 0, **options: object) -> tuple[str, str]:
    """Run the command in the current directory; return what it prints to standard output and to standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "tools.predict", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        input=list_,
        capture_output=True,
        check=False,
        **options,
    )
    output, errors = done.stdout.decode(), done.stderr.decode()
    assert done.returncode == status, f"{arguments} ended with {done.returncode}:\n{output}\n{errors}"
    assert "Traceback" not in errors
    return output, errors
