"""What the tests of prepare share: a workspace with small images, and readers of what the stage wrote."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Workspace, write_data_set, write_image
from tests.support.forked import start
from tests.support.python_path import python_path

PREPARED = Path("data/prepared")
STAGE = "stages.prepare"
COMMAND = [sys.executable, "-m", STAGE]
AUDIT = Path("data/audit")


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace whose data is to lie in images/, made for images of 32 pixels."""
    workspace.set(data__root="images", image__resize=32, image__crop=24)
    return workspace


@pytest.fixture
def root(ready: Workspace) -> Path:
    """Images in train/ and val/, whose folders are their classes."""
    ready.set(data__max_unusable=0.5)
    return write_data_set(Path("images"), images=4)


def manifest() -> pd.DataFrame:
    return pd.read_csv(PREPARED / "manifest.csv", keep_default_na=False, dtype={"class": str})


def images() -> pd.DataFrame:
    """How each used image is stored."""
    return pd.read_csv(AUDIT / "images.csv", keep_default_na=False)


def notes() -> dict[str, str]:
    """The notes of each image that has some, by path."""
    rows = images()
    return {path: note for path, note in zip(rows["path"], rows["notes"], strict=True) if note}


def splits() -> dict[str, str]:
    """The split of each image, by path."""
    return dict(zip(manifest()["path"], manifest()["split"], strict=True))


def quarantine() -> dict[str, str]:
    """The reason for each file that is not used, by path."""
    rows = pd.read_csv(AUDIT / "quarantine.csv", keep_default_na=False)
    return dict(zip(rows["path"], rows["reason"], strict=True))


def prepared() -> dict[str, bytes]:
    """Everything that the stage wrote, by its folder and name."""
    folders = (folder for folder in (PREPARED, AUDIT) if folder.exists())
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for folder in folders for path in folder.iterdir()}


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "DVC_ROOT"} | python_path()


def run(command: list[str], before: Callable[[], None] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, preexec_fn=before)


def run_stage() -> tuple[int, str, str]:
    """Run the stage to its end; return its status, what it printed, and its errors. It starts sooner than `run`."""
    return start(STAGE).wait()


def start_afresh() -> None:
    for name in ("data", "metrics", ".cache"):
        shutil.rmtree(name, ignore_errors=True)


def leftovers() -> set[str]:
    return (
        {path.as_posix() for path in Path("data").iterdir()} - {"data/prepared", "data/audit"}
        if Path("data").exists()
        else set()
    )


def write_flat(counts: dict[str, int], start: int = 0) -> None:
    for c, (class_name, images) in enumerate(sorted(counts.items())):
        for i in range(images):
            write_image(Path("images", class_name, f"{start + i:03}.png"), seed=10_000 * c + start + i)


def fill(*folders: str, images: int = 10) -> None:
    """Write images, each of them different, into class folders."""
    for f, folder in enumerate(folders):
        for i in range(images):
            write_image(Path(folder, f"{i}.png"), seed=1_000 * f + i)
