"""Keep a training run's state on disk, whole or not at all, for the next start of the very same run.

A checkpoint lies in .checkpoints/finetune/<fingerprint>, which neither git nor DVC knows, and is removed when the
run has ended well. A lock keeps a second process out: killing `dvc` alone leaves the stage at work.
"""

import os
import shutil
import sys
import time
from pathlib import Path
from types import TracebackType

import torch
from filelock import FileLock, Timeout

from plumbline.run.errors import UserError
from plumbline.run.outputs import whole_file

STAGE = "finetune"
NAME = "state.pt"
KEPT = 30 * 24 * 3600  # seconds for which a run that was given up is remembered


def checkpoint_root() -> Path:
    """Return where checkpoints lie: in `dvc exp run --temp` and in the queue, in the repository they belong to."""
    return Path(os.environ.get("DVC_ROOT", ".")).absolute() / ".checkpoints" / STAGE


class Checkpoints:
    """The checkpoint of one run. To be used in a `with` block, which holds the lock."""

    def __init__(self, root: Path, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self.folder = root / fingerprint[:16]
        self.path = self.folder / NAME
        self.lock = FileLock(lock_path(self.folder))

    def __enter__(self) -> "Checkpoints":
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.lock.acquire(timeout=0)
        except Timeout:
            raise UserError(
                f"another process is training this very run, and holds {self.lock.lock_file}: wait for it, or end it"
            ) from None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.lock.release()

    def save(self, state: dict[str, object]) -> None:
        """Write the state in place of the one before. Raises UserError if the disk does not take it."""
        try:
            with whole_file(self.path) as partial, partial.open("wb") as file:
                torch.save({"fingerprint": self.fingerprint, **state}, file)
                file.flush()
                os.fsync(file.fileno())
        except (OSError, RuntimeError) as error:
            raise UserError(f"the checkpoint {self.path} cannot be written ({error}): free some space") from None

    def load(self) -> dict[str, object] | None:
        """Return the state that was saved last, or None; one that is damaged or foreign is set aside with one line.

        Raises UserError where the disk or the memory fails.
        """
        if not self.path.exists():
            return None
        try:
            state = torch.load(self.path, map_location="cpu", weights_only=True)  # unpickles nothing that runs code
            if state.pop("fingerprint") == self.fingerprint:
                return state
            why = "it is another run's"
        except (OSError, MemoryError) as error:  # the state may be whole: nothing is set aside
            raise UserError(
                f"the checkpoint {self.path} cannot be read ({error or 'out of memory'}): try again, or remove it"
            ) from None
        except Exception as error:  # whatever a damaged file makes of torch's reader
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
        aside = self.folder.with_name(f"{self.folder.name}.damaged.pt")
        self.path.replace(aside)
        print(
            f"warning: the checkpoint cannot be used ({why}): it is set aside as {aside}, training starts afresh",
            file=sys.stderr,
        )
        return None

    def remove(self) -> None:
        """Remove the checkpoint: the run has ended well."""
        shutil.rmtree(self.folder, ignore_errors=True)


def lock_path(folder: Path) -> Path:
    """Return the file whose lock goes with a checkpoint's folder."""
    return folder.with_name(f"{folder.name}.lock")


def remove_old_checkpoints(root: Path) -> None:
    """Remove what runs that were given up long ago have left, unless a process is at work on it."""
    for path in root.glob("*"):
        newest = max((file.stat().st_mtime for file in [path, *path.glob("*")]), default=0.0)
        if time.time() - newest > KEPT:
            remove_unless_locked(path)


def remove_unless_locked(path: Path) -> None:
    """Remove one checkpoint's folder, or a file beside it."""
    try:
        with FileLock(lock_path(path.with_suffix("")), timeout=0):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
    except Timeout:
        return
