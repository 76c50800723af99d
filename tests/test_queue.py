"""Workers of DVC's queue that are killed half-way: by the recipe of docs/sweeps.md no finished experiment is lost."""

import csv
import io
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.projects import commit_all, run_in

# The stage ends at once for 1, and for all others when `go` stands beside the repository.
STAGE = """\
import json, os, time, yaml
from pathlib import Path
number, beside = yaml.safe_load(Path("params.yaml").read_text())["number"], Path(os.environ["BESIDE"])
(beside / f"started-{number}").touch()
while number > 1 and not (beside / "go").exists():
    time.sleep(0.1)
Path("metrics.json").write_text(json.dumps({"square": number**2}))
"""
PIPELINE = """\
stages:
  square:
    cmd: python square.py
    params:
    - number
    metrics:
    - metrics.json:
        cache: false
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository with a pipeline of one stage; what still runs there in the end is killed."""
    folder = tmp_path / "repository"
    folder.mkdir()
    monkeypatch.setenv("BESIDE", str(tmp_path))
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    run_in(folder, "dvc", "init", "--quiet")
    (folder / "params.yaml").write_text("number: 0\n")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "square.py").write_text(STAGE)
    commit_all(folder, "A pipeline")
    yield folder
    for process in running_in(folder):
        process.kill()


def running_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose current directory is the folder, or below it."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder):
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(holds: Callable[[], bool], seconds: float = 600) -> None:
    """Wait for it; fail if that takes too long."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


def finished(folder: Path) -> int:
    """Return how many experiments are finished and collected."""
    refs = run_in(folder, "git", "for-each-ref", "--format=%(refname)", "refs/exps/??/**").stdout
    return len([ref for ref in refs.split() if "/exec/" not in ref])


def start_workers(folder: Path) -> None:
    """Start two workers; they keep what is given to them as standard output open, and so no pipe."""
    run_in(folder, "sh", "-c", "dvc queue start --jobs 2 > ../start.log 2>&1")


def states(folder: Path) -> dict[str, str]:
    """Return what `dvc queue status` says of each task, by its name."""
    lines = run_in(folder, "dvc", "queue", "status").stdout.splitlines()
    rows = [line.split() for line in lines[1:] if line and not line.startswith("Worker")]
    return {row[1]: row[-1] for row in rows}


def queue(folder: Path, number: int, name: str) -> None:
    run_in(folder, "dvc", "exp", "run", "--queue", "--name", name, "-S", f"number={number}")


@pytest.mark.slow
def test_after_killed_workers_the_recipe_completes_the_sweep_and_keeps_what_was_finished(repository: Path) -> None:
    for number in range(1, 5):
        queue(repository, number, f"e{number}")
    start_workers(repository)
    wait_until(lambda: finished(repository) == 1)

    def both_work() -> bool:
        if len(list(repository.parent.glob("started-*"))) == 3:
            return True
        start_workers(repository)  # again: on a busy machine DVC may have started one of the two
        return False

    wait_until(both_work)
    for group in {os.getpgid(process.pid) for process in running_in(repository)}:
        os.killpg(group, signal.SIGKILL)
    wait_until(lambda: not running_in(repository))
    found = states(repository)
    assert sorted(found.values()) == ["Queued", "Running", "Running", "Success"]

    killed = [name for name, state in found.items() if state == "Running"]
    run_in(repository, "dvc", "queue", "kill", "--force", *killed)
    assert {states(repository)[name] for name in killed} == {"Failed"}
    run_in(repository, "dvc", "queue", "remove", "--failed")
    run_in(repository, "sh", "-c", "rm -rf .dvc/tmp/exps/tmp*")

    for name in killed:
        queue(repository, int(name[1:]), name)
    (repository.parent / "go").touch()
    start_workers(repository)
    wait_until(lambda: finished(repository) == 4)
    table = list(csv.DictReader(io.StringIO(run_in(repository, "dvc", "exp", "show", "--csv").stdout)))
    squares = {row["Experiment"]: row["square"] for row in table if row["Experiment"]}
    assert squares == {"e1": "1", "e2": "4", "e3": "9", "e4": "16"}
