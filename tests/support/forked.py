"""Stages as processes of their own that start at once: forked from a server that has imported what they import.

`python -m stages.finetune` imports torch and torchvision for two to seven seconds before it does anything. A test that
runs a stage often, or kills it often, starts it here instead. What runs is the same: the stage's `__main__`, in a
process with an environment, a folder and output of its own.
"""

import functools
import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping
from multiprocessing import forkserver
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


@functools.cache
def server() -> multiprocessing.context.ForkServerContext:
    """Start the server, once, and return what forks from it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stages.finetune.__main__"])
    with pytest.MonkeyPatch.context() as patched:  # it knows no other way to what it is to import
        patched.setenv("PYTHONPATH", str(PROJECT))
        forkserver.ensure_running()
    return context


class Forked:
    """A stage at work in a process of its own, started in the current folder. Its output is one text."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        with tempfile.NamedTemporaryFile(prefix="output-", delete=False) as file:
            self.output = Path(file.name)
        arguments = (module, str(Path.cwd()), dict(os.environ | environment), self.output)
        self.process = server().Process(target=run_module, args=arguments)
        self.process.start()

    @property
    def pid(self) -> int:
        return self.process.pid

    def is_running(self) -> bool:
        return self.process.is_alive()

    def kill(self) -> None:
        """End it with SIGKILL, and wait for that."""
        self.process.kill()
        self.process.join()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> tuple[int, str]:
        """Wait for its end; return its status, as subprocess gives it, and what it printed."""
        self.process.join()
        return self.process.exitcode, self.output.read_text()


def run_module(module: str, folder: str, environment: dict[str, str], output: Path) -> None:
    """Do what `python -m module` does, in a process that has just been forked."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    with output.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)
    sys.argv = [module]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def start(module: str, **environment: str) -> Forked:
    """Start a stage in the current folder."""
    return Forked(module, environment)


def finish(forked: Forked, status: int = 0) -> str:
    """Wait for a stage's end with this status, and return what it printed."""
    found, output = forked.wait()
    assert found == status, output
    return output
