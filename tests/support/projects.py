"""Copies of the project in repositories of their own, and the commands that are run in them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from tests.support import forked
from tests.support.python_path import PROJECT

# Small enough for a pipeline run in less than a minute.
TINY = {
    "backprop.trials": 2,
    "curvature.draws": 2,
    "curvature.images": 2,
    "curvature.steps": 2,
    "evaluate.resamples": 100,
    "export.calibration_images": 8,
    "finetune.epochs": 2,
    "image.crop": 48,
    "image.resize": 56,
    "weight_decay.steps": 5,
    "weights.architecture": "timm/test_resnet",
    "weights.pretraining.epochs": 1,
    "weights.pretraining.image_size": 32,
}


def change_params(folder: Path, values: dict[str, object]) -> None:
    """Change keys of params.yaml, named with dots."""
    path = folder / "params.yaml"
    contents = yaml.safe_load(path.read_text())
    for key, value in values.items():
        *sections, last = key.split(".")
        section = contents
        for name in sections:
            section = section[name]
        section[last] = value
    path.write_text(yaml.safe_dump(contents, sort_keys=False))


def run_in(folder: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the programs of this environment first; but see `tests.support.forked`."""
    first = [] if command[0] == "git" else [forked.programs()]
    environment = os.environ | {
        "PATH": os.pathsep.join(map(str, [*first, Path(sys.executable).parent, os.environ["PATH"]])),
        "GIT_AUTHOR_NAME": "test",
        "GIT_AUTHOR_EMAIL": "test@example.com",
        "GIT_COMMITTER_NAME": "test",
        "GIT_COMMITTER_EMAIL": "test@example.com",
        "DVC_NO_ANALYTICS": "true",
    }
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if check:
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def copy_project(folder: Path) -> Path:
    """Copy what git tracks or would track of this project, as it is in the working tree, into a new repository."""
    listed = run_in(PROJECT, "git", "ls-files", "--cached", "--others", "--exclude-standard", "-z").stdout
    for name in filter(None, listed.split("\0")):
        if (PROJECT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    commit_all(folder, "The project")
    return folder


def commit_all(folder: Path, message: str) -> None:
    """Commit everything in a scratch repository."""
    run_in(folder, "git", "add", "--all")
    run_in(folder, "git", "commit", "--quiet", "--allow-empty", "-m", message)


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of the processes that test side by side, and that need it, has made."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


def make_tiny_project(folder: Path) -> None:
    """Copy the project into a folder, run its pipeline with tiny parameters, and commit the results."""
    copy_project(folder)
    change_params(folder, TINY)
    write_fewer_digits(folder)
    run_in(folder, "dvc", "repro")
    commit_all(folder, "A tiny run")
    run_in(folder, "git", "gc", "--quiet")


def write_fewer_digits(project: Path) -> None:
    """Let a copy of the project write a third of the digits: its tests copy, hash and push them often."""
    path = project / "stages" / "digits" / "__main__.py"
    source = path.read_text()
    fewer = {"np.setdiff1d(rest, val_positions)": 45, "np.flatnonzero(~np.isin(digits, TARGET_CLASSES))": 480}
    for all_of_them, count in fewer.items():
        assert source.count(all_of_them) == 1
        source = source.replace(all_of_them, f"{all_of_them}[:{count}]")
    path.write_text(source)
