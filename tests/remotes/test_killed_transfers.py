"""A push and a pull that are killed at known bytes: nothing half-written counts, and the same command completes them."""

import hashlib
import random
import subprocess
from pathlib import Path

import pytest

from tests.conftest import commit_all, run_in
from tests.remotes.servers import Server, environment, objects_of, port_of, running, wrong_objects

SMALL, LARGE = 12, 6_000_000  # files; bytes
MOMENTS = (4_000, 1_000_000, 5_000_000)  # bytes: among the small files; near the large one's start, and its end


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository with a folder of small files and one large file that DVC holds."""
    folder = tmp_path / "project"
    (folder / "small").mkdir(parents=True)
    for number in range(SMALL):
        (folder / "small" / f"{number}.txt").write_bytes(random.Random(number).randbytes(1_000))
    (folder / "large.bin").write_bytes(random.Random(SMALL).randbytes(LARGE))
    run_in(folder, "git", "init", "--quiet")
    run_in(folder, "dvc", "init", "--quiet")
    run_in(folder, "dvc", "add", "--quiet", "small", "large.bin")
    commit_all(folder, "Data")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files that DVC holds in a project or a clone."""
    files = [*sorted(folder.glob("small/*")), folder / "large.bin"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def kill_on_the_way(command: str, folder: Path, server: Server, moment: int) -> None:
    """Run `dvc push` or `dvc pull`, and kill it with SIGKILL when so many bytes have passed."""
    with running("wire", server.port, moment, "hold") as wire:
        server.name_in(folder, port_of(wire))
        with subprocess.Popen(["dvc", command], cwd=folder, env=environment(), stderr=subprocess.DEVNULL) as process:
            assert wire.stdout.readline() == "broken\n"
            assert process.poll() is None
            process.kill()


def cache_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a project's own cache."""
    cache = folder / ".dvc" / "cache"
    return {path.relative_to(cache).as_posix(): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_a_killed_push_and_a_killed_pull_leave_nothing_broken(server: Server, project: Path, tmp_path: Path) -> None:
    for moment in MOMENTS:
        kill_on_the_way("push", project, server, moment)
        assert wrong_objects(server.files()) == []
    server.name_in(project)
    run_in(project, "dvc", "push")
    whole = objects_of(server.files())
    assert (len(whole), wrong_objects(server.files())) == (SMALL + 2, [])  # with the folder's list, and the large file
    assert hashlib.md5(contents(project)["large.bin"]).hexdigest() in whole

    clone = tmp_path / "clone"
    run_in(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    for moment in MOMENTS:
        kill_on_the_way("pull", clone, server, moment)
        assert wrong_objects(cache_of(clone)) == []
    server.name_in(clone)
    run_in(clone, "dvc", "pull")
    assert contents(clone) == contents(project)
    assert objects_of(cache_of(clone)) == whole
    assert "up to date" in run_in(clone, "dvc", "status").stdout
