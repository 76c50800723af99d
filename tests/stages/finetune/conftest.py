"""A workspace in which fine-tuning can start."""

import shutil
from pathlib import Path

import pytest

from plumbline.run.certificates import write_certificate
from stages.finetune import __main__ as finetune
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import PROJECT, Workspace, write_data_set
from tests.support.models import SMALL
from tests.support.projects import made_once


def pass_checks() -> None:
    for stage in finetune.CHECKS:
        write_certificate(stage, ["it holds"])


@pytest.fixture
def passed(workspace: Workspace) -> None:
    """The certificates of the checks, in a workspace."""
    pass_checks()


@pytest.fixture
def ready(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace in which fine-tuning can start: ten small images, random weights, passed checks."""
    shutil.copytree(made_once("ready", tmp_path_factory, make_ready), workspace.folder, dirs_exist_ok=True)
    return workspace


@pytest.fixture
def eleven(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """22 images for training, in batches of 4, so that the last one has two: fewer than some have processes."""

    def make(folder: Path) -> None:
        make_ready(folder, images=11, finetune__precision="float32", finetune__lr=1e-4)

    shutil.copytree(made_once("eleven", tmp_path_factory, make), workspace.folder, dirs_exist_ok=True)
    return workspace


def make_ready(folder: Path, images: int = 5, **values: object) -> None:
    """Write what fine-tuning reads, of so many images of each class and split, with these parameters."""
    shutil.copy(PROJECT / "params.yaml", folder)
    settings = Workspace(folder)
    settings.set(data__root="images", image__resize=40, image__crop=33, weights__source="none")
    settings.set(weights__architecture=SMALL, finetune__epochs=2, finetune__batch_size=4, **values)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        write_data_set(Path("images"), images)
        prepare.main()
        weights.main()
        pass_checks()
