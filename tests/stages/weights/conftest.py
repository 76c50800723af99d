"""What the tests of the weights stage share: a weight file, its hash, how a refusal looks, a workspace without caches."""

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torchvision

from plumbline.run.errors import UserError
from stages.weights import __main__ as weights
from tests.conftest import Workspace
from tests.support.weight_server import Server

BACKBONE = Path("models/backbone.safetensors")


@pytest.fixture(scope="session")
def resnet18(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .pth file as torch.save writes it, with seven classes."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(torchvision.models.resnet18(num_classes=7).state_dict(), path)
    return path


@pytest.fixture
def server(resnet18: Path) -> Iterator[Server]:
    with Server(resnet18.read_bytes()) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def refused(message: str) -> None:
    """Run the stage and see it end with one line, and no file."""
    with pytest.raises(UserError, match=message) as error:
        weights.main()
    assert "\n" not in str(error.value)
    assert not list(Path().rglob("*.safetensors")) + list(Path().rglob("*.partial*"))


@pytest.fixture
def no_caches(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace without any downloaded weights, and without a network."""
    monkeypatch.setenv("TORCH_HOME", str(workspace.folder / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(workspace.folder / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return workspace
