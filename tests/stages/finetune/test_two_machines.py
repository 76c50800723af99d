"""Two machines train as one: two network namespaces with addresses of their own, joined by a cable, and torchrun in each.

Where namespaces may not be made, two processes on two loopback addresses stand for them.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Workspace
from tests.support.hold import Hold
from tests.support.together import train_together, written

PORT = 29400  # torchrun's own


@dataclass(frozen=True)
class Machine:
    """One of two machines."""

    address: str
    interface: str
    enter: tuple[str, ...]  # what runs a command there

    def start(self, leader: str, environment: dict[str, str]) -> subprocess.Popen:
        """Start torchrun there, as docs/distributed.md says; `leader` is the first machine's address."""
        torchrun = [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", "--max-restarts=3"),
            *(
                "--rdzv-backend=c10d",
                f"--rdzv-endpoint={leader}:{PORT}",
                "--rdzv-id=bees",
                f"--local-addr={self.address}",
            ),
            f"--rdzv-conf=is_host={int(self.address == leader)},keep_alive_interval=2,keep_alive_max_attempt=5",
        ]
        environment = environment | {
            "OMP_NUM_THREADS": "1",
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
            "GLOO_SOCKET_IFNAME": self.interface,
        }
        command = [*self.enter, *torchrun, "-m", "stages.finetune"]
        return subprocess.Popen(
            command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip


def namespaces(names: list[str]) -> list[Machine]:
    """Make two network namespaces that a cable joins. Raises CalledProcessError where that is not allowed."""
    ends = ["veth0", "veth1"]
    for name in names:
        subprocess.run(["ip", "netns", "add", name], check=True, capture_output=True)
    cable = ["type", "veth", "peer", "name", ends[1], "netns", names[1]]
    subprocess.run(["ip", "link", "add", ends[0], "netns", names[0], *cable], check=True, capture_output=True)
    machines = []
    for i, (name, end) in enumerate(zip(names, ends, strict=True), 1):
        address = f"10.77.0.{i}"
        for command in (
            ["addr", "add", f"{address}/24", "dev", end],
            ["link", "set", end, "up"],
            ["link", "set", "lo", "up"],
        ):
            subprocess.run(["ip", "-n", name, *command], check=True, capture_output=True)
        machines.append(Machine(address, end, ("ip", "netns", "exec", name)))
    return machines


@pytest.fixture
def machines() -> Iterator[list[Machine]]:
    names = [f"plumbline-{os.getpid()}-{i}" for i in range(2)]
    try:
        if shutil.which("ip") is None:
            raise FileNotFoundError("ip")
        yield namespaces(names)
    except (subprocess.CalledProcessError, FileNotFoundError):
        yield [Machine(f"127.0.0.{i}", "lo", ()) for i in (2, 3)]
    finally:
        for name in names if shutil.which("ip") else ():
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def finish(nodes: list[subprocess.Popen]) -> None:
    for node in nodes:
        _, errors = node.communicate(timeout=600)
        assert node.returncode == 0, errors


@pytest.mark.slow
def test_two_machines_of_which_one_is_killed_and_comes_back_give_the_curve_of_one(
    eleven: Workspace, machines: list[Machine], tmp_path: Path
) -> None:
    eleven.set(finetune__epochs=3, finetune__precision="float64")  # whose rounding is too small to grow
    alone = train_together(1)
    train_together(2)
    two_processes = written()
    pd.testing.assert_frame_equal(pd.read_csv("plots/history.csv"), alone.history, rtol=1e-9, atol=0)
    for name in ("models/finetuned.safetensors", "plots/history.csv"):
        Path(name).unlink()

    first, second = machines
    hold = Hold(tmp_path / "hold", "state.partial.pt", skip=2)  # in the second epoch; a save opens it twice
    environment = hold.environment()
    nodes = [machine.start(first.address, environment) for machine in machines]
    hold.wait(nodes[0])
    os.killpg(nodes[1].pid, signal.SIGKILL)
    hold.release()
    nodes[1].communicate()
    finish([nodes[0], second.start(first.address, environment)])
    assert written() == two_processes
