"""Choose where joblib runs what it is handed: on this machine's cores, or on the workers of a Dask cluster.

joblib and Dask cut the work into batches, send them out, and send them again where a worker dies. Here is only how
they are reached, and one line for each way in which they cannot be.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from joblib import parallel_config

from plumbline.params.data import Data
from plumbline.run.errors import UserError

SECONDS = 10  # that are waited for the scheduler, and then for a first worker

SCHEDULER = "`python -m dask scheduler`"
WORKER = "`python -m dask worker --nthreads 1 ADDRESS`"
AGAIN = "run the stage again; it goes on from its cache"


@contextmanager
def engine(data: Data) -> Iterator[None]:
    """Have joblib use what `data.executor` names, within the block.

    Raises UserError if Dask cannot be reached, is lost, or cannot run this project's code.
    """
    if data.executor == "loky":
        yield
        return
    # They take a second to import, for which nobody waits who did not ask for them.
    from distributed import Client

    from stages.prepare.dask_backend import DaskBackend

    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what they would log, they raise as well
    where = f"data.scheduler: {data.scheduler}"
    try:
        client = Client(data.scheduler, timeout=SECONDS, set_as_default=False)
    except OSError:
        raise UserError(
            f"{where} does not answer within {SECONDS} s: start {SCHEDULER} there, in this project's folder, or set "
            "data.executor to loky"
        ) from None
    backend = DaskBackend(client=client, wait_for_workers_timeout=SECONDS)
    with in_one_line(where), client, parallel_config(backend=backend):
        yield


@contextmanager
def in_one_line(where: str) -> Iterator[None]:
    """Raise UserError for what Dask raises in the block and a user can mend."""
    from distributed import CancelledError, KilledWorker
    from distributed.comm import CommClosedError
    from distributed.scheduler import NoWorkerError

    try:
        yield
    except TimeoutError:
        raise UserError(f"{where} has no worker: start some, {WORKER} in this project's folder") from None
    except (ImportError, RuntimeError) as error:
        missing = error.__cause__ if isinstance(error, RuntimeError) else error  # the scheduler's own comes wrapped
        if not isinstance(missing, ImportError | AttributeError):
            raise
        raise UserError(
            f"{where} cannot run this project ({missing}): install requirements.txt on its machines, and start "
            f"{SCHEDULER} and {WORKER} in this project's folder"
        ) from None
    except KilledWorker as error:
        raise UserError(
            f"{where}: each worker that was to read some of the images was ended from outside, the last one "
            f"{error.last_worker.address}, as happens when memory runs out: give them more, or lower data.max_pixels, "
            f"and {AGAIN}"
        ) from None
    except NoWorkerError:
        raise UserError(f"{where} has lost all its workers: start some, {WORKER}, and {AGAIN}") from None
    except (CancelledError, CommClosedError):
        raise UserError(f"{where} was lost while it worked: start it again, and {AGAIN}") from None
