"""Weights from the network, against a real server: what arrives is checked, what does not is one line."""

import base64
import hashlib
import pickle
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path

import pytest
import torch
import torchvision

from plumbline.model.model_file import read_model
from plumbline.run.addresses import Address
from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError, run
from stages.card.tables_and_sentences import text
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from stages.weights import download
from tests.conftest import Workspace, change_params
from tests.stages.weights.conftest import BACKBONE, refused, sha256
from tests.support.pipeline import STAGES


class Server(ThreadingHTTPServer):
    """A server on this machine that sends one file, or only its beginning, or an error, or nothing."""

    def __init__(self, contents: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.contents = contents
        self.requests = 0
        self.redirect, self.status = "", 302
        self.authorised: list[str] = []  # the header of each request, empty where there is none

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that has left."""

    def url(self, name: str, user: str = "") -> str:
        return f"http://{user}127.0.0.1:{self.server_address[1]}/{name}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.authorised.append(self.headers.get("Authorization", ""))
        if self.path.startswith("/moved"):
            self.send_response(self.server.status)
            self.send_header("Location", self.server.redirect)
            self.end_headers()
            return
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            with suppress(ConnectionError):
                while True:
                    self.wfile.write(bytes(2**16))
        if self.path.startswith("/absent"):
            self.send_error(404)
            return
        if self.path.startswith("/silent"):
            threading.Event().wait(5)
            return
        self.send_response(200)
        claimed = 10**15 if self.path.startswith("/huge") else len(self.server.contents)
        self.send_header("Content-Length", str(claimed))
        self.end_headers()
        half = len(self.server.contents) // 2 if self.path.startswith("/truncated") else None
        self.wfile.write(self.server.contents[:half])

    def log_message(self, *arguments: object) -> None:
        pass


SECRETS = ("us3r", "pa55word", "s1gnature", "fr4gment")


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


def test_user_and_password_are_sent_to_their_own_host_alone(
    workspace: Workspace, server: Server, resnet18: Path
) -> None:
    workspace.set(weights__architecture="resnet18", weights__sha256=sha256(resnet18))
    workspace.set(weights__source=server.url("moved.pth", user="us3r:pa55%40word@"))
    server.redirect = server.url("resnet18.pth")
    weights.main()
    assert server.authorised == [f"Basic {base64.b64encode(b'us3r:pa55@word').decode()}", ""]


@pytest.mark.medium
@pytest.mark.parametrize(
    "name", ["resnet18.pth", "absent.pth", "truncated.pth", "moved.pth", "silent.pth", "huge.pth", "page.pth"]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib leaves the silent socket open
def test_no_secret_of_an_address_is_in_a_file_or_a_line(
    workspace: Workspace,
    server: Server,
    resnet18: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.setattr(download, "SILENCE", 0.5)
    server.redirect = "https://us3r:pa55word@127.0.0.1/a.pth?key=s1gnature"
    if name == "page.pth":
        server.contents = b"<html>Sign in</html>"
    source = f"{server.url(name, user='us3r:pa55word@')}?X-Amz-Signature=s1gnature#fr4gment"
    digest = hashlib.sha256(server.contents).hexdigest()
    workspace.set(weights__architecture="resnet18", weights__source=source, weights__sha256=digest)
    if name == "resnet18.pth":
        run(weights.main)
        model = read_model(BACKBONE)
        assert model.source == model.parameters["weights"]["source"] == server.url(name)
    else:
        with pytest.raises(SystemExit) as error:
            run(weights.main)
        assert server.url(name) in str(error.value)
        print(error.value)
    everything = "".join(capfd.readouterr()).encode()
    everything += b"".join(p.read_bytes() for p in Path().rglob("*") if p.is_file() and p.name != "params.yaml")
    for secret in SECRETS:
        assert secret.encode() not in everything


@pytest.mark.slow
def test_no_secret_of_an_address_is_in_a_result_of_the_pipeline(
    tiny_copy: Path,
    server: Server,
    resnet18: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """But in params.yaml, where the user wrote it, and in dvc.lock, into which DVC copies every parameter."""
    monkeypatch.chdir(tiny_copy)
    source = f"{server.url('resnet18.pth', user='us3r:pa55word@')}?X-Amz-Signature=s1gnature#fr4gment"
    own = {"weights.architecture": "resnet18", "weights.source": source, "weights.sha256": sha256(resnet18)}
    change_params(tiny_copy, own)
    for stage in list(STAGES)[list(STAGES).index("weights") :]:
        import_module(f"stages.{stage}.__main__").main()
    named, outputs = [], {"printed": "".join(capfd.readouterr()).encode()}
    in_markdown = text(server.url("resnet18.pth"))  # the card's: no link
    for path in tiny_copy.rglob("*"):
        relative = path.relative_to(tiny_copy)
        if path.is_file() and relative.parts[0] in ("data", "metrics", "models", "plots", "report"):
            outputs[relative.as_posix()] = path.read_bytes()
    for name, contents in outputs.items():
        assert not [secret for secret in SECRETS if secret.encode() in contents], name
        if any(address.encode() in contents for address in (server.url("resnet18.pth"), in_markdown)):
            named.append(name)
    assert {"models/CARD.md", "models/backbone.safetensors", "report/index.html"} <= set(named)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://us3r:pa55word@host:80/a/b.pth?key=s1gnature#fr4gment", "https://host:80/a/b.pth"),
        ("https://us3r@host/a@b.pth", "https://host/a@b.pth"),
        ("https://us3r:pa55@word@host/a.pth", "https://host/a.pth"),
        ("https://us3r:pa55/word@host/a.pth", "https://..."),
        ("https://us3r:pa55?word@host/a.pth", "https://..."),
        ("https://[::1]:8080/a.pth?s1gnature", "https://[::1]:8080/a.pth"),
        ("https://host?s1gnature", "https://host"),
        ("https://host/a.pth;s1gnature", "https://host/a.pth"),
        ("S3://us3r:pa55word@bucket/key", "S3://bucket/key"),
        ("s3:/us3r:pa55word@bucket/key", "s3:/bucket/key"),
        ("git+ssh://us3r@host/a", "git+ssh://host/a"),
        ("https://us3r:pa55word@", "https://"),
        ("data/what?/a#b.pth", "data/what?/a#b.pth"),
        ("/home/me@work/a.pth", "/home/me@work/a.pth"),
        ("C:/me@work/a.pth", "C:/me@work/a.pth"),
        ("digits", "digits"),
    ],
)
def test_an_address_is_shown_without_its_secrets(text: str, shown: str) -> None:
    address = Address(text)
    assert (address, str(address), f"{address}", address.with_secrets) == (shown, shown, shown, text)
    again = pickle.loads(pickle.dumps(address))
    assert (again, again.with_secrets) == (shown, text)
    assert flat({"weights": {"source": text}}) == {"weights.source": shown}


def test_a_remote_path_as_data_root_is_refused_without_its_secrets(workspace: Workspace) -> None:
    workspace.set(data__root="s3://us3r:pa55word@bucket/photos?key=s1gnature")
    with pytest.raises(UserError, match="there is no folder or archive s3:/+bucket/photos: ") as error:
        prepare.main()
    assert not [secret for secret in SECRETS if secret in str(error.value)]
