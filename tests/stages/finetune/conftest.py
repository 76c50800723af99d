"""A workspace in which fine-tuning can start."""

from pathlib import Path

import pytest

from plumbline.run.certificates import write_certificate
from stages.finetune import __main__ as finetune
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import Workspace, write_data_set
from tests.support.models import SMALL


def pass_checks() -> None:
    for stage in finetune.CHECKS:
        write_certificate(stage, ["it holds"])


@pytest.fixture
def passed(workspace: Workspace) -> None:
    """The certificates of the checks, in a workspace."""
    pass_checks()


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace in which fine-tuning can start: ten small images, random weights, passed checks."""
    workspace.set(data__root="images", image__resize=40, image__crop=33, weights__source="none")
    workspace.set(weights__architecture=SMALL, finetune__epochs=2, finetune__batch_size=4)
    write_data_set(Path("images"), images=5)
    prepare.main()
    weights.main()
    pass_checks()
    return workspace


@pytest.fixture
def eleven(ready: Workspace) -> Workspace:
    """22 images for training, in batches of 4, so that the last one has two: fewer than some have processes."""
    ready.set(finetune__precision="float32", finetune__lr=1e-4)
    write_data_set(Path("images"), images=11)
    prepare.main()
    weights.main()
    return ready
