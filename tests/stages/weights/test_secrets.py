"""User, password, query and fragment of an address: sent to their own host alone, and in no result."""

import base64
import hashlib
import pickle
from importlib import import_module
from pathlib import Path

import pytest
import torch

from plumbline.model.families import build_network
from plumbline.model.model_file import read_model
from plumbline.run.addresses import Address
from plumbline.run.dotted_keys import flat
from plumbline.run.errors import UserError, run
from stages.card.tables_and_sentences import text
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from stages.weights import download
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, sha256
from tests.support.models import SMALL
from tests.support.pipeline import STAGES
from tests.support.projects import change_params
from tests.support.weight_server import Server

SECRETS = ("us3rname", "pa55word", "s1gnature", "fr4gment")


def test_user_and_password_are_sent_to_their_own_host_alone(
    workspace: Workspace, server: Server, resnet18: Path
) -> None:
    workspace.set(weights__architecture="resnet18", weights__sha256=sha256(resnet18))
    workspace.set(weights__source=server.url("moved.pth", user="us3rname:pa55%40word@"))
    server.redirect = server.url("resnet18.pth")
    weights.main()
    assert server.authorised == [f"Basic {base64.b64encode(b'us3rname:pa55@word').decode()}", ""]


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
    server.redirect = "https://us3rname:pa55word@127.0.0.1/a.pth?key=s1gnature"
    if name == "page.pth":
        server.contents = b"<html>Sign in</html>"
    source = f"{server.url(name, user='us3rname:pa55word@')}?X-Amz-Signature=s1gnature#fr4gment"
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
    tiny_copy: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """But in params.yaml, where the user wrote it, and in dvc.lock, into which DVC copies every parameter."""
    monkeypatch.chdir(tiny_copy)
    torch.save(build_network(SMALL, 7).state_dict(), "weights.pth")
    server.contents = Path("weights.pth").read_bytes()
    source = f"{server.url('weights.pth', user='us3rname:pa55word@')}?X-Amz-Signature=s1gnature#fr4gment"
    change_params(tiny_copy, {"weights.source": source, "weights.sha256": sha256(Path("weights.pth"))})
    for stage in list(STAGES)[list(STAGES).index("weights") :]:
        import_module(f"stages.{stage}.__main__").main()
    named, outputs = [], {"printed": "".join(capfd.readouterr()).encode()}
    in_markdown = text(server.url("weights.pth"))  # the card's: no link
    for path in tiny_copy.rglob("*"):
        relative = path.relative_to(tiny_copy)
        if path.is_file() and relative.parts[0] in ("data", "metrics", "models", "plots", "report"):
            outputs[relative.as_posix()] = path.read_bytes()
    for name, contents in outputs.items():
        assert not [secret for secret in SECRETS if secret.encode() in contents], name
        if any(address.encode() in contents for address in (server.url("weights.pth"), in_markdown)):
            named.append(name)
    assert {"models/CARD.md", "models/backbone.safetensors", "report/index.html"} <= set(named)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://us3rname:pa55word@host:80/a/b.pth?key=s1gnature#fr4gment", "https://host:80/a/b.pth"),
        ("https://us3rname@host/a@b.pth", "https://host/a@b.pth"),
        ("https://us3rname:pa55@word@host/a.pth", "https://host/a.pth"),
        ("https://us3rname:pa55/word@host/a.pth", "https://..."),
        ("https://us3rname:pa55?word@host/a.pth", "https://..."),
        ("https://[::1]:8080/a.pth?s1gnature", "https://[::1]:8080/a.pth"),
        ("https://host?s1gnature", "https://host"),
        ("https://host/a.pth;s1gnature", "https://host/a.pth"),
        ("S3://us3rname:pa55word@bucket/key", "S3://bucket/key"),
        ("s3:/us3rname:pa55word@bucket/key", "s3:/bucket/key"),
        ("git+ssh://us3rname@host/a", "git+ssh://host/a"),
        ("https://us3rname:pa55word@", "https://"),
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
    workspace.set(data__root="s3://us3rname:pa55word@bucket/photos?key=s1gnature")
    with pytest.raises(UserError, match="there is no folder or archive s3:/+bucket/photos: ") as error:
        prepare.main()
    assert not [secret for secret in SECRETS if secret in str(error.value)]
