"""Keep a training run's state on disk, whole or not at all, for the next start of the very same run.

A checkpoint lies in .checkpoints/finetune/<fingerprint>, which neither git nor DVC knows, and is removed when the
run has ended well. The fingerprint is a hash of everything that the run's result follows from: only such a run may be
resumed. A lock keeps a second process out: killing `dvc` alone leaves the stage at work.
"""

import hashlib
import json
import os
import platform
import shutil
import sys
import time
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType

import torch
import torchvision
from filelock import FileLock, Timeout

from plumbline.run.errors import UserError
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import whole_file
from plumbline.training.device_and_precision import Compute

STAGE = "finetune"
ROOT = Path(__file__).parents[2]
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


def fingerprint(parameters: dict[str, object], inputs: dict[str, str], compute: Compute, world_size: int = 1) -> str:
    """Return a hash of the parameters, the input files' hashes by path, the code, and what computes."""
    described = {
        "parameters": parameters,
        "inputs": inputs,
        "code": {path.relative_to(ROOT).as_posix(): sha256_of(path) for path in imported_project_files()},
        "machine": machine(compute),
        "processes": world_size,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def machine(compute: Compute) -> list[str | int]:
    """Return what decides how numbers are rounded, as far as a program can know it."""
    if compute.device.type == "cuda":
        device = torch.cuda.get_device_name()
    else:  # the processor, and the part of its instructions that the environment lets torch and oneDNN use
        limits = torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA")
        device = str((torch.cpu.get_capabilities(), *limits))
    versions = [platform.python_version(), torch.__version__, torchvision.__version__, version_of_timm()]
    return [*versions, device, str(compute.precision), torch.get_num_threads()]


def version_of_timm() -> str | None:
    """Return the version of timm that is installed."""
    with suppress(PackageNotFoundError):
        return version("timm")
    return None


def imported_project_files() -> list[Path]:
    """Return the project's own files that this process has imported."""
    files = {Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    return sorted(file for file in files if any(file.is_relative_to(ROOT / name) for name in ("stages", "plumbline")))
