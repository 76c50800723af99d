"""Several processes train as one: the same curve, one line for each error, and the same bytes after a kill."""

import functools
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import torch
import torch.distributed.launcher.api

from plumbline.run.errors import UserError
from stages.finetune import distributed
from stages.finetune.distributed import LOST, joined, take_gpu
from stages.finetune.launched_processes import launch
from stages.finetune.training_setup import seed_of_process
from stages.weights import __main__ as weights
from tests.conftest import PROJECT, Workspace
from tests.support import forked
from tests.support.forked import Forked
from tests.support.hold import Hold
from tests.support.together import OUTPUTS, STAGE, start_and_finish, train_together, written


def start(*command: str, **environment: str) -> subprocess.Popen:
    """Start the stage as its user does, in a process that nothing forks, and that starts the others."""
    return subprocess.Popen(
        command or [sys.executable, "-m", STAGE],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, status: int = 0) -> tuple[str, str]:
    output, errors = process.communicate(timeout=600)
    assert process.returncode == status, f"{output}\n{errors}"
    return output, errors


RECIPES = {
    "the homework's, batch normalisation over all processes": {},
    "frozen statistics": {"freeze_statistics": True},
    "accumulated, smoothed, weighted, averaged, clipped": {
        "accumulate": 2,
        "label_smoothing": 0.1,
        "class_weights": "balanced",
        "ema": 0.9,
        "clip_norm": 0.5,
    },
    "a part, and then all": {"freeze": "layer3", "thaw_epoch": 1, "keep": "best"},
}


@pytest.mark.slow
@pytest.mark.trained_numbers
@pytest.mark.parametrize("recipe", RECIPES)
def test_in_float64_the_curve_does_not_depend_on_the_number_of_processes(eleven: Workspace, recipe: str) -> None:
    """Rounding in float64 is too small for training to make anything of it: what differed here would be a fault."""
    eleven.set(finetune__precision="float64", **{f"finetune__{key}": value for key, value in RECIPES[recipe].items()})
    alone = train_together(1)
    together = train_together(3)  # one has no image in the last batch
    pd.testing.assert_frame_equal(together.history, alone.history, rtol=1e-9, atol=0)
    for name, tensor in together.weights.items():  # written in float32
        torch.testing.assert_close(tensor, alone.weights[name], rtol=1e-6, atol=1e-9)


@pytest.mark.slow
@pytest.mark.trained_numbers
def test_a_network_of_timms_trains_in_several_processes_as_in_one(eleven: Workspace) -> None:
    """Its batch normalisation has the activation within it.

    Of so few pixels batches of 4 have channels that hardly vary: dividing by that makes 1e-16 of rounding 4e-9.
    """
    eleven.set(weights__architecture="timm/tf_efficientnet_lite0", finetune__precision="float64", finetune__epochs=1)
    eleven.set(finetune__batch_size=11)
    weights.main()
    alone, together = train_together(1), train_together(2)
    pd.testing.assert_frame_equal(together.history, alone.history, rtol=1e-9, atol=0)


@pytest.mark.slow
@pytest.mark.trained_numbers
def test_a_linear_probe_in_float32_does_not_depend_on_the_number_of_processes(eleven: Workspace) -> None:
    """What is trained has no rectifier, in which rounding may decide whether a gradient passes."""
    eleven.set(finetune__freeze="backbone")
    alone = train_together(1)
    pd.testing.assert_frame_equal(train_together(3).history, alone.history, rtol=1e-5, atol=0)


@functools.cache
def undisturbed() -> tuple[bytes, ...]:
    """Train with two processes and three epochs to the end, and return what that writes; it hangs on no folder."""
    train_together(2)
    found = written()
    OUTPUTS[0].unlink()
    return found


@pytest.fixture
def two(eleven: Workspace) -> tuple[bytes, ...]:
    """A workspace in which two processes can train, and what they write if nobody disturbs them."""
    eleven.set(finetune__processes=2, finetune__epochs=3)
    return undisturbed()


@pytest.fixture
def hold(tmp_path: Path) -> Hold:
    """Holds the process that saves the state of all as it saves it for the second time; a save opens the file twice."""
    return Hold(tmp_path / "hold", "state.partial.pt", skip=2)


def ranks(process: subprocess.Popen | Forked, hold: Hold) -> list[psutil.Process]:
    """Return the processes that train, once they have saved their state."""
    hold.wait(process)
    return psutil.Process(process.pid).children()


def assert_it_goes_on_to(expected: tuple[bytes, ...]) -> None:
    """Run the stage again: it resumes, and writes the same bytes."""
    assert not OUTPUTS[0].exists()
    assert "resuming in epoch" in train_together(2).output
    assert written() == expected


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_process_that_dies_ends_the_run_with_one_line_and_the_next_goes_on_to_the_same_bytes(
    two: tuple[bytes, ...], hold: Hold, victim: int
) -> None:
    process = forked.start(STAGE, **hold.environment())
    ranks(process, hold)[victim].kill()
    hold.release()
    status, _, errors = process.wait()
    assert status == 1
    (line,) = errors.splitlines()
    assert line.startswith("error: process ")
    assert "of 2 was ended by SIGKILL, and the others with it" in line
    assert_it_goes_on_to(two)


@pytest.mark.slow
def test_the_main_process_that_dies_fitting_the_probe_ends_the_others_and_no_checkpoint_is_promised(
    eleven: Workspace, tmp_path: Path
) -> None:
    eleven.set(finetune__processes=2, finetune__head="probe", finetune__epochs=0)
    # The fit opens it; before, the main process reads the classes, and computes the file's hash.
    hold = Hold(tmp_path / "hold", "classes.json", skip=2)
    process = forked.start(STAGE, **hold.environment())
    both = ranks(process, hold)
    both[0].kill()
    status, _, errors = process.wait()
    assert (status, psutil.wait_procs(both, timeout=600)[1]) == (1, [])
    (line,) = errors.splitlines()
    assert line.startswith("error: process 0 of 2 was ended by SIGKILL, and the others with it")
    assert line.endswith("it goes on from its last checkpoint, or from its start if there is none")
    assert not list(Path(".checkpoints").rglob("state.pt"))


ALONE = """
import os
import signal
import time
from datetime import timedelta

import torch.distributed as dist

from stages.finetune.distributed import joined

with joined() as distributed:
    dist.set_timeout(timedelta(milliseconds=10))  # of what all compute together
    if distributed.is_main:
        {WORK}
    assert distributed.broadcast("fitted" if distributed.is_main else None) == "fitted"
"""


@pytest.mark.medium
@pytest.mark.parametrize(
    ("work", "statuses"),
    [("time.sleep(2)", (0, 0)), ("os.kill(os.getpid(), signal.SIGKILL)", (-signal.SIGKILL, LOST))],
)
def test_the_others_wait_for_the_main_process_beyond_the_timeout_unless_it_dies(
    workspace: Workspace, work: str, statuses: tuple[int, int]
) -> None:
    Path("alone.py").write_text(ALONE.replace("{WORK}", work))
    start_and_finish(2, "alone", statuses)


SLOW_DISK = """
import time
from datetime import timedelta

import torch.distributed as dist

from stages.finetune.__main__ import Checkpoints, Distributed, Run, main
from stages.finetune.distributed import TIMEOUT

state, save, wait_for_main = Run.state, Checkpoints.save, Distributed.wait_for_main


def state_and_then_a_short_timeout(run, distributed):
    collected = state(run, distributed)
    dist.set_timeout(timedelta(milliseconds=10))
    return collected


def wait_and_then_the_usual_timeout(distributed):
    wait_for_main(distributed)
    dist.set_timeout(TIMEOUT)


Run.state, Distributed.wait_for_main = state_and_then_a_short_timeout, wait_and_then_the_usual_timeout
Checkpoints.save = lambda checkpoint, collected: [time.sleep(2), save(checkpoint, collected)]
main()
"""


@pytest.mark.slow
def test_the_others_wait_beyond_the_timeout_while_the_main_process_writes_the_checkpoint(eleven: Workspace) -> None:
    eleven.set(finetune__epochs=1)
    Path("slow_disk.py").write_text(SLOW_DISK)
    start_and_finish(2, "slow_disk")


@pytest.mark.slow
def test_no_port_is_open_to_other_machines_and_a_signal_saves_the_state_of_all_processes(
    two: tuple[bytes, ...], hold: Hold
) -> None:
    process = start(**hold.environment())
    ranks(process, hold)
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    sockets = [socket for member in family for socket in member.net_connections() if socket.status == "LISTEN"]
    assert {socket.laddr.ip for socket in sockets} <= {"127.0.0.1", "::1"}
    process.send_signal(signal.SIGTERM)
    hold.release()
    _, errors = finish(process, status=128 + signal.SIGTERM)
    assert errors.splitlines() == ["interrupted; the state is saved: run the stage again, and it goes on from there"]
    assert_it_goes_on_to(two)


@pytest.mark.slow
def test_an_orphaned_run_ends(two: tuple[bytes, ...], hold: Hold) -> None:
    process = start(**hold.environment())
    orphans = ranks(process, hold)
    process.kill()
    hold.release()
    process.communicate()
    assert psutil.wait_procs(orphans, timeout=600)[1] == []
    assert_it_goes_on_to(two)


@pytest.mark.slow
def test_an_error_of_all_processes_is_one_line(eleven: Workspace) -> None:
    eleven.set(finetune__processes=2, finetune__lr=1e30)
    status, _, errors = forked.start(STAGE).wait()
    assert status == 1
    lines = [line for line in errors.splitlines() if not line.startswith("warning: finetune.lr")]
    assert len(lines) == 1, errors
    assert lines[0].startswith("error: training diverged")


@pytest.mark.slow
def test_torchrun_starts_it_and_restarts_it_after_a_kill_to_the_same_bytes(two: tuple[bytes, ...], hold: Hold) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
    own = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "PYTHON_EXEC": str(forked.programs() / "python")}
    process = start(*torchrun, "-m", STAGE, **own, **hold.environment())
    ranks(process, hold)[1].kill()
    hold.release()
    finish(process)
    assert written() == two


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    taken = []
    monkeypatch.setattr(torch.cuda, "set_device", taken.append)
    take_gpu(1)
    assert taken == [1]
    with pytest.raises(UserError, match="this machine has 2 GPUs, and more processes"):
        take_gpu(2)
    with pytest.raises(UserError, match="this machine has 2 GPUs, and more processes"):
        launch(3)


def test_processes_share_the_cores_that_the_run_may_use(monkeypatch: pytest.MonkeyPatch, one_core: None) -> None:
    environment = {"PATH": os.environ["PATH"]}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(logging, "disable", lambda: None)
    monkeypatch.setattr(torch.distributed.launcher.api, "elastic_launch", lambda *_: lambda *_: None)
    launch(2)
    assert environment["OMP_NUM_THREADS"] == "1"


def test_the_random_numbers_of_processes_and_seeds_differ() -> None:
    drawn = [seed_of_process(seed, rank) for seed in range(5) for rank in range(1, 5)]
    assert len(set(drawn)) == len(drawn)
    assert min(drawn) > 1000  # none is a seed that another run begins with


@pytest.mark.parametrize(("rank", "expected"), [("0", UserError), ("1", SystemExit)])
def test_a_network_interface_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, rank: str, expected: type[BaseException]
) -> None:
    def init() -> None:
        raise RuntimeError("[enforce fail at gloo/transport/tcp/device.cc:85] . Unable to find address for: nope0")

    for name, value in (("RANK", "5"), ("LOCAL_RANK", rank), ("WORLD_SIZE", "8")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "init_process_group", init)
    with pytest.raises(expected, match="set GLOO_SOCKET_IFNAME" if rank == "0" else "1"), joined():
        pass


@pytest.mark.parametrize("allocate", [torch.empty, np.empty])
def test_a_machines_memory_that_does_not_suffice_is_said_by_the_first_of_the_processes(
    monkeypatch: pytest.MonkeyPatch, allocate: Callable[[int], object]
) -> None:
    for name, value in (("RANK", "1"), ("LOCAL_RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(distributed, "init_process_group", lambda: None)
    monkeypatch.setattr(distributed.dist, "get_rank", lambda: 1)
    monkeypatch.setattr(distributed.dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(distributed.dist, "new_group", lambda **_: None)
    for is_first, expected in ((True, (RuntimeError, MemoryError)), (False, SystemExit)):
        monkeypatch.setattr(distributed.Distributed, "is_first_to_fail", lambda _, is_first=is_first: is_first)
        with pytest.raises(expected), joined():
            allocate(2**57)


def test_a_restart_that_would_find_old_addresses_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2"), ("TORCHELASTIC_USE_AGENT_STORE", "True")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(UserError, match="TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1"), joined():
        pass
