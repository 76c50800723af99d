"""Weights from the network, against a real server: what arrives is checked, what does not is one line."""

from pathlib import Path

import pytest
import torch
import torchvision

from plumbline.model.model_file import read_model
from stages.weights import __main__ as weights
from stages.weights import download
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256
from tests.support.weight_server import Server


def test_a_url_with_the_right_sha256_gives_its_weights(workspace: Workspace, server: Server, resnet18: Path) -> None:
    url = server.url("resnet18.pth")
    workspace.set(weights__architecture="resnet18", weights__source=url, weights__sha256=sha256(resnet18))
    weights.main()
    model = read_model(BACKBONE)
    assert (model.architecture, model.source, model.sha256) == ("resnet18", url, sha256(resnet18))
    assert len(model.classes) == 7
    original = torch.load(resnet18, weights_only=True)
    assert all(torch.equal(model.tensors[key], original[key]) for key in original)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib leaves the silent socket open
@pytest.mark.parametrize(
    ("name", "digest", "message"),
    [
        ("resnet18.pth", "0" * 64, "has the sha256 [0-9a-f]{64}, not 0{64}: it is truncated or another file"),
        ("truncated.pth", None, "has the sha256 .* it is truncated or another file"),
        ("absent.pth", None, "absent.pth cannot be fetched: the server says 404 Not Found; check weights.source"),
        ("silent.pth", None, "silent.pth cannot be fetched: .*timed out"),
    ],
)
def test_a_download_that_goes_wrong_is_one_line_and_leaves_no_file(
    workspace: Workspace, server: Server, resnet18: Path, monkeypatch, name: str, digest: str | None, message: str
) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.5)
    source = server.url(name)
    workspace.set(weights__architecture="resnet18", weights__source=source, weights__sha256=digest or sha256(resnet18))
    refused(message)


def test_a_server_that_is_not_there_and_an_address_that_is_none_are_one_line(workspace: Workspace) -> None:
    workspace.set(weights__sha256="0" * 64, weights__source="http://127.0.0.1:9/weights.pth")
    refused("http://127.0.0.1:9/weights.pth cannot be fetched: .*refused")
    workspace.set(weights__source="nowhere://weights.pth")
    refused("only http:// and https:// are fetched")


@pytest.mark.medium
def test_imagenet_is_torchvisions_file_from_the_cache_or_the_network_with_its_hash_checked(
    workspace: Workspace, server: Server, resnet18: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Published:
        url = server.url(f"resnet18-{sha256(resnet18)[:8]}.pth")
        meta = {"categories": list("abcdefg")}  # noqa: RUF012
        transforms = torchvision.models.ResNet18_Weights.IMAGENET1K_V1.transforms

    class Enum:
        __members__ = {"IMAGENET1K_V1": Published}  # noqa: RUF012

    monkeypatch.setattr(torchvision.models, "get_model_weights", lambda name: Enum)
    monkeypatch.setenv("TORCH_HOME", str(workspace.folder / "torch"))
    workspace.set(weights__architecture="resnet18", weights__source="imagenet")
    weights.main()
    weights.main()
    assert server.requests == 1
    assert read_model(BACKBONE).classes == list("abcdefg")
    (cached,) = Path("torch").rglob("*.pth")
    cached.write_bytes(b"damaged since")
    weights.main()
    assert server.requests == 2


def test_a_download_is_bounded_before_and_while_it_is_written(
    workspace: Workspace, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.set(weights__architecture="resnet18", weights__sha256="0" * 64)
    workspace.set(weights__source=server.url("huge.pth"))
    refused("huge.pth has more than 8 GiB, the largest download of weights")
    monkeypatch.setattr(download, "LARGEST", 2**22)
    written = []
    whole = download.sha256_of
    monkeypatch.setattr(download, "sha256_of", lambda path: written.append(path) or whole(path))
    for name in ("resnet18.pth", "endless.pth"):  # announced and not
        workspace.set(weights__source=server.url(name))
        refused(f"{name} has more than 0.00390625 GiB")
    assert not written


@pytest.mark.medium
def test_other_schemes_are_refused_at_once_and_behind_a_redirect(
    workspace: Workspace, server: Server, resnet18: Path
) -> None:
    workspace.set(weights__architecture="resnet18", weights__sha256=sha256(resnet18))
    for source in (resnet18.resolve().as_uri(), "ftp://us3r:pa55word@127.0.0.1/a", "data://,a", "s3://bucket/a"):
        workspace.set(weights__source=source)
        refused("only http:// and https:// are fetched; fetch the file yourself, and set weights.source to its path")
    workspace.set(weights__source=server.url("moved.pth"))
    for target in (resnet18.resolve().as_uri(), "ftp://127.0.0.1/a.pth", "https://us3r:pa55word@127.0.0.1/a?s1gnature"):
        server.redirect = target
        for server.status in (301, 302, 303, 307, 308):
            refused("/moved.pth leads to (file|ftp|https)://[^?@]*, of another scheme")
    server.redirect, server.status = server.url("moved.pth"), 302
    refused("moved.pth cannot be fetched: the server says 302 Found;")  # in a circle
    server.redirect = server.url("resnet18.pth", user="us3r:pa55word@")
    refused("/moved.pth cannot be fetched: [^@]*$")
    server.redirect = "/resnet18.pth"
    weights.main()
    assert read_model(BACKBONE).source == server.url("moved.pth")
