"""Start this stage in several processes on this machine, by torchrun's own launcher, and end as they end."""

import logging
import os
import signal
import sys
import uuid

from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from plumbline.run.errors import UserError
from stages.finetune.processes import LOST

MODULE = "stages.finetune"


def launch(processes: int) -> None:
    """Run the stage in so many processes, which share the cores, and return when all have ended well.

    Raises UserError, one line, where one was ended from outside; ends as a process ended that has said why itself.
    """
    logging.disable()  # this process does nothing else, and one line is enough
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=processes,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="127.0.0.1:0",
        local_addr="127.0.0.1",
        max_restarts=0,  # the next `dvc repro` goes on from the checkpoint
    )
    try:
        elastic_launch(config, sys.executable)("-m", MODULE)
    except ChildFailedError as failed:
        end_as(failed.failures, processes)
    except SignalException as signalled:  # the processes have got it too, and have saved the state
        sys.exit(128 + signalled.sigval)


def end_as(failures: dict[int, ProcessFailure], processes: int) -> None:
    """End with one line for a process that was killed, or with the status of one that has said itself why it ended.

    The launcher ends the others with SIGTERM, or they find themselves alone and end with LOST.
    """
    statuses = {rank: failure.exitcode for rank, failure in failures.items()}
    said = [status for status in statuses.values() if status > 0 and status != LOST]
    if said:
        sys.exit(min(said))
    rank = min(statuses, key=lambda rank: (statuses[rank] in (LOST, -signal.SIGTERM), rank))
    ended = "ended" if statuses[rank] >= 0 else f"was ended by {signal.Signals(-statuses[rank]).name}"
    raise UserError(
        f"process {rank} of {processes} {ended}, and the others with it: run the stage again, "
        "it goes on from its checkpoint"
    )
