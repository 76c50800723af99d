"""Servers that a test starts on this machine and ends again, and what DVC must be told to keep its files on them."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import boto3

from tests.conftest import PROJECT
from tests.support.projects import run_in

BUCKET = "store"
KINDS = ("s3", "ssh", "http")


@contextmanager
def running(module: str, *arguments: object) -> Iterator[subprocess.Popen]:
    """Run a module of this folder, beside the test, and end it."""
    command = [sys.executable, "-m", f"tests.support.remotes.{module}", *map(str, arguments)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def port_of(process: subprocess.Popen) -> int:
    """Return the port that it prints, once it listens there."""
    return int(process.stdout.readline())


@dataclass(frozen=True)
class Server:
    """A server of one kind, where a project's files may be kept."""

    kind: str
    port: int
    folder: Path  # in which its files lie, but for s3
    options: dict[str, str] = field(default_factory=dict)  # of DVC's remote

    def url(self, port: int) -> str:
        """Return the remote's address, on the server's port or on that of a wire to it."""
        places = {
            "s3": f"s3://{BUCKET}/dvc",
            "ssh": f"ssh://somebody@127.0.0.1:{port}{self.folder}/dvc",
            "http": f"http://127.0.0.1:{port}/dvc",
        }
        return places[self.kind]

    def settings(self, port: int) -> dict[str, str]:
        """Return what DVC must be told beside the address."""
        return self.options | ({"endpointurl": f"http://127.0.0.1:{port}"} if self.kind == "s3" else {})

    def name_in(self, project: Path) -> None:
        """Make it the remote of a project or a clone, by the commands of docs/remotes.md."""
        run_in(project, "dvc", "remote", "add", "--local", "--default", "store", self.url(self.port))
        for key, value in self.settings(self.port).items():
            run_in(project, "dvc", "remote", "modify", "--local", "store", key, value)

    def write_config(self, project: Path, port: int | None = None) -> None:
        """Write what those commands write, in no time; with a port, that of a wire to it."""
        port = port or self.port
        settings = {"url": self.url(port)} | self.settings(port)
        lines = [
            "[core]",
            "remote = store",
            "['remote \"store\"']",
            *(f"{key} = {own}" for key, own in settings.items()),
        ]
        (project / ".dvc" / "config.local").write_text("\n".join(lines) + "\n")

    def files(self) -> dict[str, bytes]:
        """Return what it holds, by the names there."""
        if self.kind != "s3":
            found = (path for path in self.folder.rglob("*") if path.is_file())
            return {path.relative_to(self.folder).as_posix(): path.read_bytes() for path in found}
        bucket = self.bucket()
        return {each.key: each.get()["Body"].read() for each in bucket.objects.all()}

    def bucket(self) -> "boto3.resources.factory.s3.Bucket":
        """Return the bucket of an S3 server."""
        return boto3.resource("s3", endpoint_url=f"http://127.0.0.1:{self.port}").Bucket(BUCKET)


def objects_of(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return those that stand where DVC looks for an object, by the MD5 hash that their name gives."""
    found = {re.search(r"files/md5/([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)$", name): own for name, own in files.items()}
    return {match[1] + match[2]: own for match, own in found.items() if match}


def wrong_objects(files: dict[str, bytes]) -> list[str]:
    """Return the hashes that stand over other contents."""
    return [name for name, own in objects_of(files).items() if hashlib.md5(own).hexdigest() != name[:32]]


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[Server]:
    """Start a server of a kind: its files, but for s3, go into the folder, which must not exist."""
    store, keys = folder / "store", folder / "keys"
    store.mkdir(parents=True)
    keys.mkdir()
    start: dict[str, Callable] = {
        "s3": lambda: running("s3_server"),
        "ssh": lambda: running("ssh_server", keys),
        "http": lambda: running("http_server", store),
    }
    options = {"s3": {}, "ssh": {"keyfile": str(keys / "client_key")}, "http": {"method": "PUT"}}[kind]
    with start[kind]() as process:
        server = Server(kind, port_of(process), store, options)
        if kind == "s3":
            server.bucket().create()
        yield server


S3_KEYS = {"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nothing", "AWS_DEFAULT_REGION": "us-east-1"}


def environment() -> dict[str, str]:
    """Return the environment for programs that a test starts and does not wait for."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"PATH": path, "DVC_NO_ANALYTICS": "true"}
