"""The processes of one machine, started by torchrun's own launcher: `finetune.processes`.

They meet by files and talk over the loopback interface alone.
Source: torch.distributed.launcher.
"""

import logging
import os
import signal
import socket
import sys
import tempfile
import uuid
from pathlib import Path

from plumbline.run.errors import UserError
from stages.finetune.distributed import LOST, STORE, refuse_shared_gpus

MODULE = "stages.finetune"


def launch(processes: int) -> None:
    """Run the stage in so many processes on this machine, and return when all have ended well.

    They share the cores that this process may use. They meet by files and talk over the loopback interface: a port of
    torch's store would be open to other machines, and what is read from it is unpickled. Raises UserError, one line,
    where a process was ended from outside; ends as a process ended that has printed its own line.
    """
    # torchrun takes a second to import, which one process alone need not wait for
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    refuse_shared_gpus(processes)
    logging.disable()  # this process does nothing else, and one line is enough
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, len(os.sched_getaffinity(0)) // processes)))
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
            max_restarts=0,  # the next `dvc repro` goes on from the checkpoint, if there is one
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
        "it goes on from its last checkpoint, or from its start if there is none"
    )
