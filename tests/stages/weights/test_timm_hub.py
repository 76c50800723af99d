"""timm's published weights from a hub on this machine, and the lines where it does not give them."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import timm
import torch
from huggingface_hub.errors import HTTPError, XetDownloadError
from safetensors.torch import save_file

from plumbline.model.model_file import read_model
from plumbline.run.errors import UserError
from stages.weights import __main__ as weights
from stages.weights import timm_weights
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, sha256
from tests.support.python_path import python_path

LITE0 = "timm/tf_efficientnet_lite0"
NAME, REPOSITORY = "test_resnet", "timm/test_resnet.r160_in1k"
COMMIT = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """A hub that has one repository with one file."""

    contents = b""

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        if self.answer():
            self.wfile.write(self.contents)

    def answer(self) -> bool:
        found = self.path == f"/{REPOSITORY}/resolve/main/model.safetensors"
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", f'"{hashlib.sha256(self.contents).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", str(len(self.contents)))
        elif self.path.startswith(f"/{REPOSITORY}/"):
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        return found

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, dict[str, torch.Tensor]]]:
    """A hub's address, and the tensors of the file that it has."""
    torch.manual_seed(1)
    tensors = timm.create_model(NAME).state_dict()
    save_file(tensors, tmp_path / "model.safetensors")
    handler = type("Handler", (Hub,), {"contents": (tmp_path / "model.safetensors").read_bytes()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", tensors
        server.shutdown()
        thread.join()


def run_weights(folder: Path, endpoint: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the stage in a process of its own, for the hub's library reads the environment once."""
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hub"), "TORCH_HOME": str(folder / "torch")} | more
    environment = os.environ | own | python_path()
    command = [sys.executable, "-m", "stages.weights"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_hubs_file_is_downloaded_once_and_its_hash_recorded(
    workspace: Workspace, hub: tuple[str, dict[str, torch.Tensor]]
) -> None:
    address, tensors = hub
    workspace.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    for endpoint, offline in ((address, "0"), ("http://127.0.0.1:9", "1")):
        shutil.rmtree("models", ignore_errors=True)
        done = run_weights(workspace.folder, endpoint, HF_HUB_OFFLINE=offline)
        assert done.returncode == 0, done.stderr
        model = read_model(BACKBONE)
        assert all(torch.equal(value, model.tensors[key]) for key, value in tensors.items())
        (blob,) = (path for path in Path("hub").rglob("blobs/*") if path.is_file())
        assert model.sha256 == sha256(blob) == blob.name
        assert (
            "image.mean is [0.485, 0.456, 0.406], and the weights of timm/test_resnet were trained with [0.5"
            in done.stderr
        )
    blob.write_bytes(blob.read_bytes()[:-8])
    done = run_weights(workspace.folder, address)
    assert "it is truncated or another file" in done.stderr


@pytest.mark.slow
def test_a_hub_that_does_not_answer_or_lacks_the_weights_is_one_line(
    workspace: Workspace, hub: tuple[str, dict[str, torch.Tensor]]
) -> None:
    workspace.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    done = run_weights(workspace.folder, "http://127.0.0.1:9")
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"error: the weights {REPOSITORY} cannot be fetched from the hub (")
    assert last.endswith(f"; without a network there are the weights of {LITE0}")
    workspace.set(weights__architecture="timm/test_vit")
    done = run_weights(workspace.folder, hub[0])
    assert (
        done.stderr.strip().splitlines()[-1].startswith("error: the weights timm/test_vit.r160_in1k cannot be fetched")
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("error", [HTTPError("503"), XetDownloadError("cut off")])
def test_whatever_the_hubs_client_raises_is_one_line(
    no_caches: Workspace, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(timm_weights, "hf_hub_download", fail)
    no_caches.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    with pytest.raises(UserError, match=f"^the weights {REPOSITORY} cannot be fetched from the hub "):
        weights.main()
