"""Several processes that train together, each on its part of every batch. Nobody who trains in one needs to read this.

`launched_processes.py` starts them by torchrun's own launcher, or torchrun has, also on several machines; `joined` lets
each find the others; `Distributed` is what they do together. Without torchrun there is one process, and nothing here
does anything.
Source: torch.distributed's documentation.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from plumbline.run.errors import UserError, is_out_of_memory, nondeterministic_operation

STORE = "PLUMBLINE_STORE"  # the environment variable that names the file by which the processes of one machine meet
LOST = 75  # exit status of a process whose run another one has left: the system's EX_TEMPFAIL
TIMEOUT = timedelta(minutes=10)  # for which a process waits for the slowest one, where all do the same
WHILE_MAIN_WORKS = timedelta(days=7)  # where all wait for the main one alone
# What gloo's and NCCL's errors hold where another process has gone.
LOST_WORDS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "timed out", "TCPStore")

T = TypeVar("T")


@dataclass(frozen=True)
class Distributed:
    """This process among all that train together."""

    rank: int = 0
    world_size: int = 1
    waiting: dist.ProcessGroup | None = None  # of all processes, in which they wait for what the main one alone does

    @property
    def is_main(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def shard(self, indices: torch.Tensor) -> torch.Tensor:
        """Return this process's part of indices (N,), every world_size-th; the parts differ by one at most."""
        return indices[self.rank :: self.world_size]

    def all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sums of values over all processes, the same bits in each."""
        if self.world_size > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Return whether the flag is set in any process."""
        return flag if self.world_size == 1 else bool(self.all_reduce(torch.tensor(int(flag), device=device)))

    def broadcast(self, value: T) -> T:
        """Return the main process's value, however long it takes to compute it: its death ends the wait at once."""
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values, group=self.waiting)
        return values[0]

    def wait_for_main(self) -> None:
        """Return when the main process gets here, however long that takes."""
        self.broadcast(None)

    def all_gather(self, value: T) -> list[T]:
        """Return all processes' values, by rank."""
        values = [value] * self.world_size
        if self.world_size > 1:
            dist.all_gather_object(values, value)
        return values

    def data_parallel(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over all processes as they are computed."""
        if self.world_size == 1:
            return network
        return DistributedDataParallel(network)

    def is_first_to_fail(self) -> bool:
        """Return whether this is the first process to ask: one prints the line of an error that all make."""
        return self.world_size == 1 or dist.distributed_c10d._get_default_store().add("spoken", 1) == 1


SINGLE_PROCESS = Distributed()


def started_by_torchrun() -> bool:
    """Return whether torchrun has started this process, and told it which one it is."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def joined() -> Iterator[Distributed]:
    """Join the processes that torchrun has started; without it, there is this one alone.

    All but the main one print nothing. Where another process has gone, this one ends with status LOST and no message:
    whoever started them prints it.
    """
    if not started_by_torchrun():
        yield SINGLE_PROCESS
        return
    refuse_shared_store()
    if torch.cuda.is_available():
        take_gpu(int(os.environ["LOCAL_RANK"]))
    try:
        init_process_group()
        # gloo notices at once that a process is gone; NCCL does not, and keeps a GPU busy while it waits
        waiting = dist.new_group(backend="gloo", timeout=WHILE_MAIN_WORKS)
        distributed = Distributed(dist.get_rank(), dist.get_world_size(), waiting)
        with silent_unless(distributed.is_main):
            try:
                yield distributed
            except (UserError, RuntimeError, OSError, MemoryError) as error:
                is_said_once = isinstance(error, UserError) or is_out_of_memory(error)
                is_said_once = is_said_once or nondeterministic_operation(str(error)) is not None
                if is_said_once and not distributed.is_first_to_fail():
                    sys.exit(1)
                raise
    except (RuntimeError, dist.DistError) as error:
        if "Unable to find address" in str(error):
            if os.environ["LOCAL_RANK"] != "0":  # one line from each machine
                sys.exit(1)
            raise UserError(
                "gloo finds no network interface to train over: set GLOO_SOCKET_IFNAME to one of this machine's "
                "(docs/distributed.md)"
            ) from None
        if not any(word in str(error) for word in LOST_WORDS):
            raise
        sys.exit(LOST)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def init_process_group() -> None:
    """Let torch's processes find each other: by a file if `launch` has started them, else as torchrun says."""
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if STORE not in os.environ:
        dist.init_process_group(backend, timeout=TIMEOUT)
        return
    store = dist.FileStore(os.environ[STORE], int(os.environ["WORLD_SIZE"]))
    rank, world_size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    dist.init_process_group(backend, store=store, rank=rank, world_size=world_size, timeout=TIMEOUT)


def take_gpu(rank_on_machine: int) -> None:
    """Take the GPU of this process's own. Raises UserError where there are fewer GPUs than processes."""
    refuse_shared_gpus(rank_on_machine + 1)
    torch.cuda.set_device(rank_on_machine)


def refuse_shared_gpus(processes: int) -> None:
    """Raise UserError where processes on this machine would share a GPU."""
    gpus = torch.cuda.device_count()
    if 0 < gpus < processes:
        raise UserError(
            f"this machine has {gpus} GPU{'s' if gpus > 1 else ''}, and more processes: lower finetune.processes or "
            "--nproc-per-node, or hide the GPUs with CUDA_VISIBLE_DEVICES="
        )


def refuse_shared_store() -> None:
    """Raise UserError for a restart in which this process would find the addresses of the one before it.

    Source: https://github.com/pytorch/pytorch/issues/135712.
    """
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True" and int(os.environ["TORCHELASTIC_RESTART_COUNT"]):
        raise UserError(
            "torchrun restarts processes only with a store of their own: start it with "
            "TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 in the environment, or with --max-restarts 0"
        )


@contextmanager
def silent_unless(prints: bool) -> Iterator[None]:
    """Discard what is printed, unless this process prints."""
    if prints:
        yield
        return
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
