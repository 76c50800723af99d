"""Commands as processes of their own that start at once: forked from a server that has imported what they import.

`python -m stages.finetune` imports torch and torchvision for two to seven seconds before it does anything. A test that
runs a command often, or kills it often, starts it here instead. What runs is the same: the module's `__main__`, in a
process with an environment, a folder, input and output of its own.
"""

import functools
import multiprocessing
import os
import runpy
import shutil
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
STREAMS = ("input", "output", "errors")  # files, in the order of their descriptors


@functools.cache
def server() -> multiprocessing.context.ForkServerContext:
    """Start the server, once, and return what forks from it."""
    context = multiprocessing.get_context("forkserver")
    # Nothing else of the project: a run's fingerprint names the project's modules that its process has imported.
    context.set_forkserver_preload(["stages.finetune.__main__"])
    with pytest.MonkeyPatch.context() as patched:  # it knows no other way to what it is to import
        patched.setenv("PYTHONPATH", str(PROJECT))
        forkserver.ensure_running()
    return context


class Forked:
    """A command at work in a process of its own, started in the current folder."""

    def __init__(self, *command: object, environment: Mapping[str, str], contents: bytes = b"") -> None:
        """Start `python -m` with this command; `contents` is its standard input."""
        self.streams = Path(tempfile.mkdtemp(prefix="streams-"))
        (self.streams / "input").write_bytes(contents)
        arguments = ([str(word) for word in command], str(Path.cwd()), dict(os.environ | environment), self.streams)
        self.process = server().Process(target=run_module, args=arguments)
        self.process.start()

    def is_running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """End it with SIGKILL."""
        self.process.kill()
        self.wait()

    def wait(self) -> tuple[int, str, str]:
        """Wait for its end; return its status, as subprocess gives it, what it printed, and its errors."""
        self.process.join()
        output, errors = ((self.streams / name).read_bytes().decode() for name in STREAMS[1:])
        shutil.rmtree(self.streams)
        return self.process.exitcode, output, errors


def run_module(command: list[str], folder: str, environment: dict[str, str], streams: Path) -> None:
    """Do what `python -m` does with this command, in a process that has just been forked."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for descriptor, name in enumerate(STREAMS):
        os.dup2(os.open(streams / name, os.O_RDONLY if name == "input" else os.O_WRONLY | os.O_CREAT), descriptor)
    sys.stdin = os.fdopen(0)  # multiprocessing has closed it
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    sys.argv = list(command)
    sys.modules.pop(f"{command[0]}.__main__", None)  # as the server has imported it
    runpy.run_module(command[0], run_name="__main__", alter_sys=True)


def start(module: str, **environment: str) -> Forked:
    """Start a stage in the current folder."""
    return Forked(module, environment=environment)


def finish(forked: Forked, status: int = 0) -> str:
    """Wait for a command's end with this status, and return what it printed, errors last."""
    found, output, errors = forked.wait()
    assert found == status, output + errors
    return output + errors
