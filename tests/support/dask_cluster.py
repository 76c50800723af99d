"""A Dask cluster on this machine: a scheduler and two workers, processes of their own, as a user starts them."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from distributed.utils import json_load_robust

from tests.conftest import PROJECT

DASK = [sys.executable, "-m", "dask"]
SECONDS = 600  # after which the processes have not found each other, however busy the machine is


@dataclass
class Cluster:
    """The processes, and where the scheduler listens."""

    address: str
    scheduler: subprocess.Popen
    workers: list[subprocess.Popen]


@contextmanager
def cluster(scratch: Path, workers: int = 2, project: Path = PROJECT, **configuration: str) -> Iterator[Cluster]:
    """Run a cluster, started in the folder `project`, that has all its workers; end it with the block.

    `configuration` is of Dask's scheduler, in its own words with underscores: allowed_failures="0".
    """
    scratch.mkdir(exist_ok=True)
    file, log = scratch / "scheduler.json", scratch / "scheduler.log"
    with log.open("w") as output:
        own = {f"DASK_DISTRIBUTED__SCHEDULER__{key.upper()}": value for key, value in configuration.items()}
        options = {"cwd": project, "env": os.environ | own, "stdout": output, "stderr": output}
        place = ["--host", "127.0.0.1", "--no-dashboard"]
        scheduler = [*DASK, "scheduler", *place, "--port", "0", "--no-show", "--scheduler-file", file]
        scheduler += ["--idle-timeout", "10 minutes"]  # should these tests be ended before they end it
        # Without a nanny, which would start another worker in the place of one that is killed.
        worker = [*DASK, "worker", *place, "--nthreads", "1", "--no-nanny", "--scheduler-file", file]
        worker += ["--local-directory", scratch, "--death-timeout", str(SECONDS)]
        processes = [subprocess.Popen(command, **options) for command in [scheduler] + [worker] * workers]
        try:
            wait_until(lambda: log.read_text().count("Register worker") == workers and file.exists())
            yield Cluster(json_load_robust(file)["address"], processes[0], processes[1:])  # it may be half written
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds; fail if it never does."""
    end = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)
