"""Several processes that train together, each on its part of every batch. Nobody who trains in one needs to read this.

`launch` starts them by torchrun's own launcher, or torchrun has, also on several machines; `joined` lets each find the
others; `Distributed` is what they do together; `synchronised` gives a batch one mean and one variance in batch
normalisation. Without torchrun there is one process, and nothing here does anything.
Source: torch.distributed's documentation.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
import uuid
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

from plumbline.run.errors import UserError, is_out_of_gpu_memory, nondeterministic_operation

MODULE = "stages.finetune"
STORE = "PLUMBLINE_STORE"  # the environment variable that names the file by which the processes of one machine meet
LOST = 75  # exit status of a process whose run another one has left: the system's EX_TEMPFAIL
TIMEOUT = timedelta(minutes=10)  # for which a process waits for the slowest one
# What gloo's and NCCL's errors hold where another process has gone.
LOST_WORDS = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "timed out", "TCPStore")

T = TypeVar("T")


@dataclass(frozen=True)
class Distributed:
    """This process among all that train together."""

    rank: int = 0
    world_size: int = 1

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
        """Return the main process's value."""
        values = [value]
        if self.world_size > 1:
            dist.broadcast_object_list(values)
        return values[0]

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
        distributed = Distributed(dist.get_rank(), dist.get_world_size())
        with silent_unless(distributed.is_main):
            try:
                yield distributed
            except (UserError, RuntimeError) as error:
                is_said_once = isinstance(error, UserError) or is_out_of_gpu_memory(error)
                is_said_once = is_said_once or nondeterministic_operation(str(error)) is not None
                if is_said_once and not distributed.is_first_to_fail():
                    sys.exit(1)
                raise
    except (RuntimeError, dist.DistError) as error:
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


def launch(processes: int) -> None:
    """Run the stage in so many processes on this machine, which share its cores, and return when all have ended well.

    They meet by files and talk over the loopback interface: a port of torch's store would be open to other machines,
    and what is read from it is unpickled. Raises UserError, one line, where a process was ended from outside; ends as
    a process ended that has printed its own line.
    """
    # torchrun takes a second to import, which one process alone need not wait for
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    refuse_shared_gpus(processes)
    logging.disable()  # this process does nothing else, and one line is enough
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"  # the launcher would open a port for the processes
    loopback = next(name for _, name in socket.if_nameindex() if name.startswith("lo"))
    os.environ.setdefault("GLOO_SOCKET_IFNAME", loopback)
    os.environ.setdefault("NCCL_SOCKET_IFNAME", loopback)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[STORE] = str(Path(folder, "processes"))
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint=str(Path(folder, "launcher")),
            rdzv_configs={"store_type": "file"},
            local_addr="127.0.0.1",
            max_restarts=0,  # the next `dvc repro` goes on from the checkpoint
        )
        try:
            elastic_launch(config, sys.executable)("-m", MODULE)
        except ChildFailedError as failed:
            end_as({rank: failure.exitcode for rank, failure in failed.failures.items()}, processes)
        except SignalException as signalled:  # the processes have got it too, and have saved the state
            sys.exit(128 + signalled.sigval)


def end_as(statuses: dict[int, int], processes: int) -> None:
    """End with one line for a process that was killed, or with the status of one that has said itself why it ended.

    The launcher ends the others with SIGTERM, or they find themselves alone and end with LOST.
    """
    said = [status for status in statuses.values() if status > 0 and status != LOST]
    if said:
        sys.exit(min(said))
    rank = min(statuses, key=lambda rank: (statuses[rank] in (LOST, -signal.SIGTERM), rank))
    ended = "ended" if statuses[rank] >= 0 else f"was ended by {signal.Signals(-statuses[rank]).name}"
    raise UserError(
        f"process {rank} of {processes} {ended}, and the others with it: run the stage again, "
        "it goes on from its checkpoint"
    )


class SumOverProcesses(torch.autograd.Function):
    """The sum over all processes; what flows back to each is the sum of what flows back in all."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of X, (B, channels, H, W), of which each process has some images, perhaps none.

    torch's SyncBatchNorm does it on GPUs alone; this does the same on processors.
    """

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return what nn.BatchNorm2d returns for this process's images in a batch with all the others'."""
        if not self.training:
            return super().forward(X)
        over, values = (0, 2, 3), X.to(self.weight.dtype)
        count = torch.tensor([X.numel() / X.shape[1]], device=X.device)
        dist.all_reduce(count)
        mean = SumOverProcesses.apply(values.sum(over)) / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = SumOverProcesses.apply(centred.square().sum(over)) / count  # in two passes, for precision
        self.remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(X.dtype)

    def remember(self, mean: torch.Tensor, variance: torch.Tensor, count: torch.Tensor) -> None:
        """Move the running mean and the running, unbiased, variance towards the batch's."""
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


def synchronised(network: nn.Module) -> nn.Module:
    """Return the network with every batch normalisation over all processes; its tensors and their names stay."""
    if next(network.parameters()).device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, like(child))
    return network


def like(norm: nn.BatchNorm2d) -> SynchronisedBatchNorm:
    """Return a synchronised batch normalisation with the same tensors."""
    place = {"device": norm.weight.device, "dtype": norm.weight.dtype}
    own = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum, **place)
    own.load_state_dict(norm.state_dict())
    return own
