"""A push and a pull that are killed at known bytes: nothing half-written counts, and the same command completes them."""

import hashlib
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.projects import commit_all, run_in
from tests.support.remotes.servers import Server, environment, objects_of, port_of, running, serving, wrong_objects

SMALL, LARGE = 12, 6_000_000  # files; bytes
MOMENTS = (4_000, 1_000_000, 5_000_000)  # bytes: among the small files, early and late in the large one
WHILE_LISTING = 2_000  # bytes: DVC connects by SSH, and has not read yet which files belong to the folder


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
        server.write_config(folder, port_of(wire))
        with subprocess.Popen(["dvc", command], cwd=folder, env=environment(), stderr=subprocess.DEVNULL) as process:
            assert wire.stdout.readline() == "broken\n"
            assert process.poll() is None
            process.kill()


def cache_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a project's own cache."""
    cache = folder / ".dvc" / "cache"
    return {path.relative_to(cache).as_posix(): path.read_bytes() for path in cache.rglob("*") if path.is_file()}


def clone_of(project: Path, folder: Path) -> Path:
    """Return a fresh clone."""
    run_in(folder, "git", "clone", "--quiet", str(project), "clone")
    return folder / "clone"


def drop_index(folder: Path) -> None:
    """Remove what DVC remembers of the files to fetch, as docs/remotes.md says."""
    lines = run_in(folder, "dvc", "doctor").stdout.splitlines()
    (cache,) = (line.split()[-1] for line in lines if line.startswith("Repo.site_cache_dir"))
    shutil.rmtree(Path(cache) / "index", ignore_errors=True)


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[Server]:
    """An SSH server on this machine."""
    with serving("ssh", tmp_path / "server") as own:
        yield own


@pytest.mark.slow
def test_a_killed_push_and_a_killed_pull_leave_nothing_broken(server: Server, project: Path, tmp_path: Path) -> None:
    for moment in MOMENTS:
        kill_on_the_way("push", project, server, moment)
        assert wrong_objects(server.files()) == []
    server.write_config(project)
    run_in(project, "dvc", "push")
    whole = objects_of(server.files())
    assert (len(whole), wrong_objects(server.files())) == (SMALL + 2, [])  # with the folder's list, and the large file
    assert hashlib.md5(contents(project)["large.bin"]).hexdigest() in whole

    clone = clone_of(project, tmp_path)
    for moment in MOMENTS:
        kill_on_the_way("pull", clone, server, moment)
        assert wrong_objects(cache_of(clone)) == []
    drop_index(clone)
    server.write_config(clone)
    run_in(clone, "dvc", "pull")
    assert contents(clone) == contents(project)
    assert objects_of(cache_of(clone)) == whole
    assert "up to date" in run_in(clone, "dvc", "status").stdout


@pytest.mark.slow
def test_a_pull_killed_before_it_knew_all_files_is_completed_once_dvcs_index_is_dropped(
    ssh: Server, project: Path, tmp_path: Path
) -> None:
    ssh.write_config(project)
    run_in(project, "dvc", "push")
    clone = clone_of(project, tmp_path)
    ssh.write_config(clone)
    run_in(clone, "dvc", "fetch", "large.bin")
    kill_on_the_way("pull", clone, ssh, WHILE_LISTING)
    ssh.write_config(clone)
    stuck = run_in(clone, "dvc", "pull", check=False)
    assert (stuck.returncode, "Is your cache up to date?" in stuck.stderr) == (1, True)  # else docs/remotes.md is dated
    drop_index(clone)
    run_in(clone, "dvc", "pull")
    assert contents(clone) == contents(project)
