"""Choose where the network runs and in which precision, and make it repeatable."""

import ctypes
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import nn

from plumbline.run.errors import NONDETERMINISTIC, UserError, nondeterministic_operation

FAST_MEMORY_FORMAT = torch.channels_last
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # glibc's numbers for mallopt
KEPT_BYTES, LARGEST_FROM_HEAP = 2**30, 2**25  # the second is the most that glibc takes
EVALUATION_BATCH = {"cpu": 16, "cuda": 256}  # images; on the processor few enough to stay in its caches


@dataclass(frozen=True)
class Compute:
    """What computes: the device, and the precision of convolutions and matrix products."""

    device: torch.device
    precision: torch.dtype

    def memory_format(self, *, training: bool) -> torch.memory_format:
        """Return the inputs' memory format: channels-last, which is fast.

        Training in float32 keeps the homework's, contiguous: another format rounds otherwise, and rounding grows.
        """
        return torch.contiguous_format if training and not self.is_mixed else FAST_MEMORY_FORMAT

    @property
    def is_mixed(self) -> bool:
        """Whether convolutions and matrix products have fewer bits than the weights."""
        return self.precision == torch.bfloat16

    @property
    def weights_dtype(self) -> torch.dtype:
        """The type of weights, inputs and losses."""
        return torch.float32 if self.is_mixed else self.precision

    @property
    def evaluation_batch_size(self) -> int:
        """The batch size, in images, that is fast without gradients; but for rounding no result depends on it."""
        return EVALUATION_BATCH[self.device.type]

    def autocast(self) -> AbstractContextManager:
        """Return a context in which torch runs convolutions and matrix products in this precision."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.is_mixed)

    def send(self, values: torch.Tensor) -> torch.Tensor:
        """Return values on this device. Nothing waits: neither for the GPU's work so far, nor for the copy."""
        if self.device.type == values.device.type:
            return values
        return values.pin_memory().to(self.device, non_blocking=True)

    def place(self, network: nn.Module) -> nn.Module:
        """Return the network on this device, in the memory format of training."""
        return network.to(self.device, self.weights_dtype, memory_format=self.memory_format(training=True))


def choose_compute(wish: str) -> Compute:
    """Return the GPU if torch sees one, else the processor; and for `auto`, bfloat16 where it is fast, else float32.

    Fast is: the hardware multiplies bfloat16 itself. Raises UserError for bfloat16 on a GPU without it.
    float32 has all of its bits from here on, in the whole process: by default torch's convolutions on a GPU round to
    TF32's ten. torch has no such setting for one network or one thread.
    """
    torch.backends.cudnn.allow_tf32 = False
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if wish == "bfloat16" and device.type == "cuda" and not has_bfloat16(device):
        raise UserError("the precision is bfloat16, which this GPU lacks: set it to float32 or auto")
    if wish == "bfloat16" or (wish == "auto" and has_bfloat16(device)):
        return Compute(device, torch.bfloat16)
    return Compute(device, torch.float64 if wish == "float64" else torch.float32)


def keep_freed_memory() -> None:
    """Let glibc keep a GiB of freed memory, rather than have the kernel clear new pages for each layer's output."""
    with suppress(AttributeError, OSError):  # glibc's own
        libc = ctypes.CDLL(None)
        libc.mallopt(M_MMAP_THRESHOLD, LARGEST_FROM_HEAP)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)


def has_bfloat16(device: torch.device) -> bool:
    """Return whether the hardware multiplies bfloat16 itself, and torch is allowed to use what does it.

    ATEN_CPU_CAPABILITY=avx2 in the environment makes torch compute as on a processor without AVX-512.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    if capabilities["architecture"] == "x86_64" and not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        return False
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") or capabilities.get("bf16"))


def make_repeatable(seed: int, *, deterministic: bool = True) -> None:
    """Seed torch, and allow only algorithms that give the same bits for the same seed and thread count.

    With `deterministic: false` an operation that has no such algorithm runs all the same, and torch warns. For programs
    of this project's own: `Classifier` sets none of this in the process of its user.
    """
    keep_freed_memory()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(True, warn_only=not deterministic)
    torch.utils.deterministic.fill_uninitialized_memory = False  # it costs time, and nothing here reads such memory
    torch.backends.cudnn.benchmark = False
    torch.manual_seed(seed)


@contextmanager
def nondeterministic_operations(names: list[str]) -> Iterator[None]:
    """Add to names each operation without a deterministic form that runs within, and say it in one line, once.

    Such operations run where `make_repeatable` was told `deterministic: false`; torch warns of them each time.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=NONDETERMINISTIC.pattern)
        show_others = warnings.showwarning

        def show(message: Warning | str, *arguments: object, **keywords: object) -> None:
            operation = nondeterministic_operation(str(message))
            if operation is None:
                show_others(message, *arguments, **keywords)
            elif operation not in names:
                names.append(operation)
                print(
                    f"warning: on this device torch cannot repeat {operation} to the bit: another run gives a slightly "
                    "different result, as finetune.deterministic: false allows",
                    file=sys.stderr,
                )

        warnings.showwarning = show
        yield
