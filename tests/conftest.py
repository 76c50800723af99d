"""What the tests share: small images, a workspace for one stage, a copy of the project, and a process left as it was."""

import ctypes
import gc
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

from tests.support.projects import change_params, copy_project, made_once, make_tiny_project
from tests.support.python_path import PROJECT

if "PYTEST_XDIST_WORKER" in os.environ:  # tests side by side, with one thread each, also in what they start
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)

# A shell that runs the tests in the background has them, and all that they start, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

MUCH_MEMORY = 1.5 * 2**30  # bytes, in one process of the tests

PHOTOGRAPHS = PROJECT.parent / "shared" / "data" / "hymenoptera"
needs_photographs = pytest.mark.skipif(
    not PHOTOGRAPHS.is_dir(),
    reason="needs real photographs: unpack hymenoptera_data.zip of PyTorch's transfer-learning tutorial as "
    "../shared/data/hymenoptera, with train/ and val/",
)


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
    return made_once("tiny", tmp_path_factory, make_tiny_project)


@pytest.fixture
def tiny_copy(tiny_project: Path, tmp_path: Path) -> Path:
    """A copy of the tiny project with its outputs, to be changed; but what is in DVC's cache is the same files."""
    cache = tiny_project / ".dvc" / "cache"

    def copy(source: str, target: str) -> None:
        (os.link if Path(source).is_relative_to(cache) else shutil.copy2)(source, target)

    return Path(shutil.copytree(tiny_project, tmp_path / "copy", symlinks=True, copy_function=copy))


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this process use one core of a machine with many, as taskset and Slurm do."""
    before = os.sched_getaffinity(0)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)


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
