"""Weights from the network, against a real server: what arrives is checked, what does not is one line."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import torchvision

from plumbline.model.model_file import read_model
from stages.weights import __main__ as weights
from stages.weights import download
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256


class Server(ThreadingHTTPServer):
    """A server on this machine that sends one file, or only its beginning, or an error, or nothing."""

    def __init__(self, contents: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents = contents
        self.requests = 0

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        if self.path.startswith("/absent"):
            self.send_error(404)
            return
        if self.path.startswith("/silent"):
            threading.Event().wait(5)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.contents)))
        self.end_headers()
        half = len(self.server.contents) // 2 if self.path.startswith("/truncated") else None
        self.wfile.write(self.server.contents[:half])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server(resnet18: Path) -> Iterator[Server]:
    with Server(resnet18.read_bytes()) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


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
    refused("nowhere://weights.pth cannot be fetched|is no address")


def test_imagenet_is_torchvisions_file_from_the_cache_or_the_network_with_its_hash_checked(
    workspace: Workspace, server: Server, resnet18: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Published:
        url = server.url(f"resnet18-{sha256(resnet18)[:8]}.pth")
        meta = {"categories": list("abcdefg")}  # noqa: RUF012

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
