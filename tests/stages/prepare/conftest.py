"""What the tests of prepare share: a workspace with small images, and readers of what the stage wrote."""

from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Workspace

PREPARED = Path("data/prepared")
AUDIT = Path("data/audit")


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace whose data is to lie in images/, made for images of 32 pixels."""
    workspace.set(data__root="images", image__resize=32, image__crop=24)
    return workspace


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
