"""What a GPU refuses ends in one line: two processes on one GPU, and more than its memory holds."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
import torch

from plumbline.run.errors import run
from stages.curvature import __main__ as curvature
from stages.digits import __main__ as digits
from stages.finetune import __main__ as finetune
from stages.weights import __main__ as weights
from tests.conftest import Workspace
from tests.support.python_path import python_path
from tests.support.together import STAGE, written

GPU_MEMORY = 2**20  # bytes that a stage may take: too few for any network


def finish(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the project in the current folder to its end."""
    return subprocess.run(command, env=os.environ | python_path(), capture_output=True, text=True, check=False)


@pytest.mark.gpu
def test_more_processes_than_gpus_are_refused_in_one_line(ready: Workspace) -> None:
    gpus = torch.cuda.device_count()
    ready.set(finetune__processes=gpus + 1)
    done = finish(sys.executable, "-m", STAGE)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: this machine has {gpus} GPU")


@pytest.mark.gpu
def test_torchrun_with_one_process_gives_the_same_bytes_as_none(ready: Workspace) -> None:
    done = finish(sys.executable, "-m", STAGE)
    assert done.returncode == 0, done.stderr
    alone = written()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    done = finish(*torchrun, "-m", STAGE)
    assert done.returncode == 0, done.stderr
    assert written() == alone


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Let torch take next to nothing of the GPU's memory."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(GPU_MEMORY / torch.cuda.mem_get_info()[1])
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("main", "names"),
    [
        (finetune.main, "finetune.batch_size"),
        (curvature.main, "curvature.images"),
        (weights.main, "weights.pretraining.batch_size"),
    ],
    ids=["finetune", "curvature", "weights"],
)
def test_memory_that_does_not_fit_ends_in_one_line_with_what_to_lower(
    ready: Workspace, little_memory: None, main: Callable[[], None], names: str
) -> None:
    ready.set(weights__source="digits")
    digits.main()
    with pytest.raises(SystemExit) as exit_:
        run(main, takes_memory=names)
    assert exit_.value.code.startswith(
        "error: the GPU's memory does not suffice (CUDA out of memory. Tried to allocate"
    )
    assert f": lower {names}, choose a smaller weights.architecture" in exit_.value.code
    assert "\n" not in exit_.value.code
