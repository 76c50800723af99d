"""The processes that train together, each on its part of every batch; torchrun has started them.

One process alone is the usual case: then nothing here does anything. Source: torch.distributed's documentation.
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

from plumbline.run.errors import UserError

LOST = 75  # exit status of a process whose run another one has left: the system's EX_TEMPFAIL
PATIENCE = timedelta(minutes=10)  # for which a process waits for the slowest one
# What gloo's and NCCL's errors hold where another process has gone.
LOST_WORDS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "timed out", "TCPStore")

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """This process among all; the first one leads: it alone prints and writes."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that prints and writes."""
        return self.rank == 0

    def own(self, indices: torch.Tensor) -> torch.Tensor:
        """Return this process's part of indices (N,): every count-th; the parts differ by one at most."""
        return indices[self.rank :: self.count]

    def total(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sums of values over all processes, the same bits in each."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def any(self, flag: bool, device: torch.device) -> bool:
        """Say whether the flag is set in any process."""
        return flag if self.count == 1 else bool(self.total(torch.tensor(int(flag), device=device)))

    def agreed(self, value: T) -> T:
        """Return the first process's value."""
        values = [value]
        if self.count > 1:
            dist.broadcast_object_list(values)
        return values[0]

    def gathered(self, value: T) -> list[T]:
        """Return all processes' values, by their rank."""
        values = [value] * self.count
        if self.count > 1:
            dist.all_gather_object(values, value)
        return values

    def together(self, network: nn.Module) -> nn.Module:
        """Return a network whose gradients are averaged over all processes as they are computed."""
        if self.count == 1:
            return network
        return DistributedDataParallel(network)

    def speaks_first(self) -> bool:
        """Say whether this is the first process to ask: of an error that all of them make, one prints the line."""
        return self.count == 1 or dist.distributed_c10d._get_default_store().add("spoken", 1) == 1


ALONE = Processes()


def started_by_torchrun() -> bool:
    """Say whether torchrun has started this process, and told it which one it is."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@contextmanager
def joined() -> Iterator[Processes]:
    """Join the processes that torchrun has started; without it, there is this one alone.

    All but the first print nothing. Where another process has gone, this one ends with status LOST and no word: whoever
    started them says it.
    """
    if not started_by_torchrun():
        yield ALONE
        return
    refuse_shared_store()
    if torch.cuda.is_available():
        take_gpu(int(os.environ["LOCAL_RANK"]))
    try:
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
        processes = Processes(dist.get_rank(), dist.get_world_size())
        with silent_unless(processes.leads):
            try:
                yield processes
            except UserError:
                if processes.speaks_first():
                    raise
                sys.exit(1)
    except (RuntimeError, dist.DistError) as error:
        if not any(word in str(error) for word in LOST_WORDS):
            raise
        sys.exit(LOST)
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()


def take_gpu(rank_on_machine: int) -> None:
    """Take the GPU of this process's own. Raises UserError where there are fewer GPUs than processes."""
    gpus = torch.cuda.device_count()
    if rank_on_machine >= gpus:
        raise UserError(
            f"this machine has {gpus} GPUs, and more processes: lower finetune.processes or --nproc-per-node, or hide "
            "the GPUs with CUDA_VISIBLE_DEVICES="
        )
    torch.cuda.set_device(rank_on_machine)


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
def silent_unless(speaks: bool) -> Iterator[None]:
    """Send what is printed nowhere, unless this process speaks."""
    if speaks:
        yield
        return
    before = sys.stdout, sys.stderr
    with Path(os.devnull).open("w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before
