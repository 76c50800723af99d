"""What the tests share: small images, a scratch workspace for one stage, a scratch project for DVC."""

import ctypes
import gc
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
import yaml
from filelock import FileLock
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.support import forked

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side, with one thread each, also in what they start
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

PROJECT = Path(__file__).parents[1]

MUCH_MEMORY = 1.5 * 2**30  # bytes, in one process of the tests

PHOTOGRAPHS = PROJECT.parent / "shared" / "data" / "hymenoptera"
needs_photographs = pytest.mark.skipif(
    not PHOTOGRAPHS.is_dir(),
    reason="needs real photographs: unpack hymenoptera_data.zip of PyTorch's transfer-learning tutorial as "
    "../shared/data/hymenoptera, with train/ and val/",
)

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put slow tests first, so that no worker ends long after the others; of them those last that need the tiny project.

    But the very first one makes it, while the other workers have other things to do.
    """

    def place(item: pytest.Item) -> tuple[bool, bool]:
        return item.get_closest_marker("slow") is None, "tiny_project" in item.fixturenames

    items.sort(key=place)
    makers = [number for number, item in enumerate(items) if place(item) == (False, True)]
    for number in makers[:1]:
        items.insert(0, items.pop(number))


class Workspace:
    """A folder with params.yaml, in which a stage can be run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def set(self, **values: object) -> None:
        """Set parameters; a double underscore stands for the dot: finetune__lr=0.1."""
        change_params(self.folder, {key.replace("__", "."): value for key, value in values.items()})


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


def write_image(path: Path, seed: int = 0, size: tuple[int, int] = (40, 30)) -> Path:
    """Write a small RGB image of noise, as the path's suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_data_set(root: Path, images: int = 3, classes: tuple[str, ...] = ("ant", "bee")) -> Path:
    """Write train/ and val/ with class folders of small images, each of them different."""
    for s, split in enumerate(("train", "val")):
        for c, class_name in enumerate(classes):
            for i in range(images):
                write_image(root / split / class_name / f"{i}.png", seed=100_000 * s + 1_000 * c + i)
    return root


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """An empty folder with the project's params.yaml, as the current directory."""
    folder = tmp_path / "workspace"
    folder.mkdir()
    shutil.copy(PROJECT / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return Workspace(folder)


@pytest.fixture
def scratch_project(tmp_path: Path) -> Path:
    """A copy of the project in a repository of its own."""
    return copy_project(tmp_path / "project")


@pytest.fixture(scope="session")
def tiny_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with tiny parameters, whose pipeline has run and is committed. Not to be changed."""

    def make(folder: Path) -> None:
        copy_project(folder)
        change_params(folder, TINY)
        write_fewer_digits(folder)
        run_in(folder, "dvc", "repro")
        commit_all(folder, "A tiny run")
        run_in(folder, "git", "gc", "--quiet")

    return made_once("tiny", tmp_path_factory, make)


def made_once(name: str, factory: pytest.TempPathFactory, make: Callable[[Path], object]) -> Path:
    """Return a folder that the first of the processes that test side by side, and that need it, has made."""
    own = factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name / "project"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            partial.mkdir()
            make(partial)
            partial.rename(folder)
    return folder


def write_fewer_digits(project: Path) -> None:
    """Let a copy of the project write a third of the digits: its tests copy, hash and push them often."""
    path = project / "stages" / "digits" / "__main__.py"
    source = path.read_text()
    for all_of_them, count in {
        "np.setdiff1d(rest, val_positions)": 45,
        "np.flatnonzero(~np.isin(digits, TARGET_CLASSES))": 480,
    }.items():
        assert source.count(all_of_them) == 1
        source = source.replace(all_of_them, f"{all_of_them}[:{count}]")
    path.write_text(source)


@pytest.fixture
def tiny_copy(tiny_project: Path, tmp_path: Path) -> Path:
    """A copy of the tiny project with its outputs, to be changed. DVC's cache, which nobody changes, is the same files."""
    copy, cache = tmp_path / "copy", Path(".dvc", "cache")
    shutil.copytree(tiny_project, copy, symlinks=True, ignore=shutil.ignore_patterns("cache"))
    shutil.copytree(tiny_project / cache, copy / cache, copy_function=os.link)
    return copy


@pytest.fixture(scope="session", autouse=True)
def temporary_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let the processes that a test starts, and may kill, leave their temporary files where pytest removes them."""
    folder = tmp_path_factory.getbasetemp() / "tmp"
    folder.mkdir()
    os.environ["TMPDIR"] = str(folder)


@pytest.fixture(scope="session")
def memory() -> Iterator[dict[str, float]]:
    """From how many bytes on the memory of this process is to be looked through; that takes a second."""
    gc.collect()
    gc.freeze()  # no test frees what the imports made: that is not looked through, also where Python does so by itself
    yield {"much": MUCH_MEMORY}
    gc.unfreeze()  # triton lists at the process's end what is not freed


@pytest.fixture(autouse=True)
def memory_returned(memory: dict[str, float]) -> Iterator[None]:
    """Give back what a test's networks took: traced ones hold themselves until Python looks for such cycles."""
    yield
    process = psutil.Process()
    if process.memory_info().rss > memory["much"]:
        gc.collect()
        with suppress(AttributeError):  # glibc's own
            ctypes.CDLL(None).malloc_trim(0)
        memory["much"] = max(MUCH_MEMORY, process.memory_info().rss + MUCH_MEMORY / 3)  # what is left is in use


@pytest.fixture(autouse=True)
def torch_as_before() -> None:
    """Undo what a stage says to torch about the whole process."""
    threads = torch.get_num_threads()
    yield
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(threads)
