"""Commands as processes of their own that start at once: forked from a server that has imported what they import.

`python -m stages.finetune` imports torch and torchvision for two to seven seconds before it does anything. The tests
start stages and tools here instead, and so does DVC where they run it, which is forked as well: `programs` holds a
`python` and a `dvc` that do. What runs is the same: the module's `__main__`, as the folder holds it, in a process with an
environment, a folder, input and output of its own. The processes that such a command starts for itself are forked too.
"""

import atexit
import functools
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.forking import client
from tests.support.python_path import PROJECT, python_path

FORKING = Path(__file__).parent / "forking"
STREAMS = ("input", "output", "errors")  # files, in the order of their descriptors


@functools.cache
def address() -> str:
    """Start the server, once, and return its address: commands may be sent at once, and run when it has imported."""
    folder = tempfile.mkdtemp(prefix="forked-")
    atexit.register(shutil.rmtree, folder)
    path = str(Path(folder, "socket"))
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(path)
        listener.listen(64)
        server = [sys.executable, "-X", "faulthandler", FORKING / "server.py"]
        with client.errors_of(path).open("w") as errors:
            process = subprocess.Popen(
                [*server, str(listener.fileno()), PROJECT, python_in(Path(folder), path)],
                env=environment,
                stdin=subprocess.PIPE,
                stderr=errors,
                pass_fds=[listener.fileno()],
            )
    atexit.register(process.communicate)  # closes its input, and waits for it
    return path


def python_in(folder: Path, address: str) -> Path:
    """Write a `python` that runs stages, tools and DVC by the server, and a `dvc`; return the former."""
    words = [sys.executable, "-IS", client.__file__, address, sys.executable]
    programs = folder / "programs"
    programs.mkdir()
    for name, command in {"python": words, "dvc": [*words, "-m", "dvc"]}.items():
        (programs / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
        (programs / name).chmod(0o755)
    return programs / "python"


def programs() -> Path:
    """Return a folder whose `python` and `dvc` run stages, tools and DVC by the server."""
    return Path(address()).parent / "programs"


class Forked:
    """A command at work in a process of its own, started in the current folder."""

    def __init__(self, *command: object, environment: Mapping[str, str], contents: bytes = b"") -> None:
        """Start `python -m` with this command; `contents` is its standard input."""
        self.streams = Path(tempfile.mkdtemp(prefix="streams-"))
        (self.streams / "input").write_bytes(contents)
        descriptors = [
            os.open(self.streams / name, os.O_RDONLY if name == "input" else os.O_WRONLY | os.O_CREAT)
            for name in STREAMS
        ]
        self.connection = client.connect(
            address(), [str(word) for word in command], dict(os.environ | python_path() | environment), descriptors
        )
        for descriptor in descriptors:
            os.close(descriptor)
        self.pid = int(self.connection.recv(64))

    def is_running(self) -> bool:
        return not select.select([self.connection], [], [], 0)[0]

    def kill(self) -> None:
        """End it with SIGKILL, if it still runs."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end; return its status, as subprocess gives it, what it printed, and its errors."""
        status = int(self.connection.recv(64))
        self.connection.close()
        output, errors = ((self.streams / name).read_bytes().decode() for name in STREAMS[1:])
        shutil.rmtree(self.streams)
        return status, output, errors


def start(module: str, **environment: str) -> Forked:
    """Start a stage in the current folder, with the project's own code."""
    return Forked(module, environment=environment)


def finish(forked: Forked, status: int = 0) -> str:
    """Wait for a command's end with this status, and return what it printed, errors last."""
    found, output, errors = forked.wait()
    assert found == status, output + errors
    return output + errors
