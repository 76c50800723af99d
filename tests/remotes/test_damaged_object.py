"""An object that is not whole on the server: refused where the remote verifies, and replaced by docs/remotes.md."""

from pathlib import Path

import pytest

from tests.support.projects import commit_all, run_in
from tests.support.remotes.servers import serving


@pytest.mark.slow
def test_a_remote_that_verifies_refuses_half_an_object_until_it_is_pushed_anew(tmp_path: Path) -> None:
    project, clone = tmp_path / "project", tmp_path / "clone"
    project.mkdir()
    (project / "model.bin").write_bytes(bytes(range(256)) * 40)
    run_in(project, "git", "init", "--quiet")
    run_in(project, "dvc", "init", "--quiet")
    run_in(project, "dvc", "add", "--quiet", "model.bin")
    commit_all(project, "Data")
    with serving("http", tmp_path / "server") as server:
        server.write_config(project)
        run_in(project, "dvc", "push")
        (stored,) = (path for path in server.folder.rglob("*") if path.is_file())
        stored.write_bytes(stored.read_bytes()[:5_000])
        run_in(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
        server.write_config(clone)
        run_in(clone, "dvc", "remote", "modify", "--local", "store", "verify", "true")
        assert run_in(clone, "dvc", "pull", check=False).returncode == 1
        assert not (clone / "model.bin").exists()

        stored.unlink()
        run_in(project, "dvc", "push")
        run_in(clone, "dvc", "pull")
    assert (clone / "model.bin").read_bytes() == (project / "model.bin").read_bytes()
