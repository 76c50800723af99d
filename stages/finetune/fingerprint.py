"""Name everything that a training run's result follows from by one hash: only such a run may be resumed."""

import hashlib
import json
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
import torchvision

from plumbline.run.hashes import sha256_of
from plumbline.training.arithmetic import Arithmetic

ROOT = Path(__file__).parents[2]


def fingerprint(
    parameters: dict[str, object], inputs: Iterable[Path], arithmetic: Arithmetic, processes: int = 1
) -> str:
    """Return a hash of the parameters, the input files' contents, the code, and what computes."""
    described = {
        "parameters": parameters,
        "inputs": {path.as_posix(): sha256_of(path) for path in sorted(inputs)},
        "code": {path.relative_to(ROOT).as_posix(): sha256_of(path) for path in own_code()},
        "machine": machine(arithmetic),
        "processes": processes,
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


def machine(arithmetic: Arithmetic) -> list[str | int]:
    """Return what decides how numbers are rounded, as far as it can be told."""
    if arithmetic.device.type == "cuda":
        device = torch.cuda.get_device_name()
    else:  # the processor, and the part of its instructions that the environment lets torch and oneDNN use
        limits = torch.backends.cpu.get_cpu_capability(), os.environ.get("ONEDNN_MAX_CPU_ISA")
        device = str((torch.cpu.get_capabilities(), *limits))
    versions = [platform.python_version(), torch.__version__, torchvision.__version__]
    return [*versions, device, str(arithmetic.precision), torch.get_num_threads()]


def own_code() -> list[Path]:
    """Return the project's own files that this process has imported."""
    files = {Path(module.__file__) for module in list(sys.modules.values()) if getattr(module, "__file__", None)}
    return sorted(file for file in files if any(file.is_relative_to(ROOT / name) for name in ("stages", "plumbline")))
