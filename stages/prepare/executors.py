"""Choose where joblib runs what it is given: in this machine's processes (loky), or on the workers of a Dask cluster.

joblib and Dask cut the work into batches, send them out, and send them again where a worker dies. This module connects
to the cluster, and turns each way in which that fails into an error of one line.

Dask's workers may be on other machines. They read images by their paths and write pixels straight to their place in one
file, so all machines need the same file system at the same paths. A worker without it must not make good images look
bad: `read_on_worker` and `refuse_what_is_not_shared` check for that.
"""

import logging
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

from joblib import parallel_config
from joblib.parallel import get_active_backend

from plumbline.images.decoded import read_file
from plumbline.images.unreadable import Unreadable
from plumbline.params.data import Data
from plumbline.run.errors import UserError
from stages.prepare.decoding import Facts, Limits, Unusable, decoder_version, read_image
from stages.prepare.folder_structure import Candidate
from stages.prepare.pixel_cache import Segment

SECONDS = 10  # to wait for the scheduler, and then for a first worker

SCHEDULER = "`python -m dask scheduler`"
WORKER = "`python -m dask worker --nthreads 1 ADDRESS`"
AGAIN = "run the stage again; it goes on from its cache"
SHARED = "every worker needs the file system that holds the images and this project, at the same paths"


@contextmanager
def executor(data: Data) -> Iterator[None]:
    """Make joblib use, within the block, what `data.executor` names.

    Raises UserError if Dask cannot be reached, is lost, or cannot run this project's code.
    """
    if data.executor == "loky":
        yield
        return
    from distributed import Client  # here, because the import takes a second that `loky` does not need

    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they also raise what they log
    where = f"data.scheduler: {data.scheduler}"
    try:
        client = Client(data.scheduler, timeout=SECONDS, set_as_default=False)
    except OSError:
        raise UserError(
            f"{where} does not answer within {SECONDS} s: start {SCHEDULER} there, in this project's folder, or set "
            "data.executor to loky"
        ) from None
    with in_one_line(where), client, parallel_config("dask", client=client, wait_for_workers_timeout=SECONDS):
        pass_failures_to_joblib()
        yield


def pass_failures_to_joblib() -> None:
    """Make joblib's active backend, which is Dask's, report to joblib also a batch that could not be run.

    joblib 1.6.0 learns only of batches that ended. It waits for ever for a batch that Dask has given up, because the
    worker died each time or cannot import what the batch names.
    """
    backend, _ = get_active_backend()
    submit = backend.submit

    def submit_and_report(func: Callable, callback: Callable | None = None) -> Future:
        future = submit(func, callback)
        future.add_done_callback(lambda done: callback(done.exception()) if done.exception() else None)
        return future

    backend.submit = submit_and_report


@contextmanager
def in_one_line(where: str) -> Iterator[None]:
    """Raise UserError, of one line, for those errors of Dask in the block that a user can mend."""
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


def read_on_worker(version: str, path: Path, limits: Limits, pixels: Path, offset: int) -> tuple[Facts, int] | Unusable:
    """Run `read_image` on a Dask worker. Raises UserError if the worker has other code or another file system."""
    if decoder_version() != version:
        raise UserError(
            f"a Dask worker on {socket.gethostname()} has another version of this project's code, or of Pillow, than "
            "this stage: install requirements.txt there, and start the workers anew, in this project's folder"
        )
    if not pixels.exists():
        raise UserError(f"a Dask worker on {socket.gethostname()} does not see {pixels}: {SHARED}")
    return read_image(path, limits, pixels, offset)


def refuse_what_is_not_shared(
    candidate: Candidate, result: tuple[Facts, int] | Unusable, segment: Segment, row: int
) -> None:
    """Raise UserError if a worker could not read a file that this machine can, or if its pixels do not arrive here."""
    if isinstance(result, Unusable):
        if result.reason == "unreadable" and readable(candidate.path):
            raise UserError(f"a Dask worker cannot read {candidate.path} ({result.detail}), this machine can: {SHARED}")
    elif not segment.holds(row, result[1]):
        raise UserError(f"{segment.path} does not hold here what a Dask worker wrote there: {SHARED}")


def readable(path: Path) -> bool:
    try:
        read_file(path)
    except Unreadable:
        return False
    return True
