"""What one machine pushes to a server of each kind, another pulls, and has nothing to run."""

from pathlib import Path

import pytest
import yaml

from tests.support.projects import run_in
from tests.support.remotes.servers import Server, objects_of, wrong_objects


def outputs(project: Path) -> dict[str, bytes]:
    """Return every file that dvc.lock names as an output, with its contents."""
    stages = yaml.safe_load((project / "dvc.lock").read_text())["stages"]
    roots = [project / out["path"] for stage in stages.values() for out in stage.get("outs", [])]
    files = [path for root in roots for path in ([root] if root.is_file() else root.rglob("*")) if path.is_file()]
    return {path.relative_to(project).as_posix(): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_fresh_clone_pulls_what_was_pushed_and_runs_nothing(server: Server, tiny_copy: Path, tmp_path: Path) -> None:
    server.name_in(tiny_copy)
    run_in(tiny_copy, "dvc", "push")
    files = server.files()
    assert (len(objects_of(files)), wrong_objects(files)) == (len(files), [])
    clone = tmp_path / "clone"
    run_in(tmp_path, "git", "clone", "--quiet", str(tiny_copy), str(clone))
    server.name_in(clone)
    run_in(clone, "dvc", "pull")
    assert "Running stage" not in run_in(clone, "dvc", "repro").stdout
    assert outputs(clone) == outputs(tiny_copy)
