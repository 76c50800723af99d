"""The precision is the one that was asked for, and `auto` follows the hardware."""

import sys
import warnings

import pytest
import torch

from plumbline.training import device_and_precision
from plumbline.training.device_and_precision import choose_compute
from tests.conftest import PROJECT
from tests.support.projects import run_in


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert choose_compute("float32").precision == torch.float32


@pytest.mark.parametrize(("has", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_exactly_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, has: bool, precision: torch.dtype
) -> None:
    monkeypatch.setattr(device_and_precision, "has_bfloat16", lambda device: has)
    assert choose_compute("auto").precision == precision


def test_autocast_multiplies_in_the_precision() -> None:
    a = torch.eye(2)
    device = torch.device("cpu")
    for precision in (torch.float32, torch.bfloat16):
        with device_and_precision.Compute(device, precision).autocast():
            assert (a @ a).dtype == precision


def test_bfloat16_needs_instructions_that_torch_is_allowed_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    for allowed, has in (("AVX512", True), ("AVX2", False), ("DEFAULT", False)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda allowed=allowed: allowed)
        assert device_and_precision.has_bfloat16(torch.device("cpu")) == has


def test_in_float64_weights_inputs_and_losses_are_float64() -> None:
    exact = choose_compute("float64")
    network = exact.place(torch.nn.Conv2d(3, 2, 1))
    assert (exact.weights_dtype, network.weight.dtype, exact.is_mixed) == (torch.float64, torch.float64, False)
    assert device_and_precision.Compute(torch.device("cpu"), torch.bfloat16).weights_dtype == torch.float32


def test_operations_that_cannot_be_repeated_are_named_once_and_other_warnings_are_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    device_and_precision.make_repeatable(0, deterministic=False)
    names: list[str] = []
    with pytest.warns(UserWarning, match="of another kind"), device_and_precision.nondeterministic_operations(names):
        for _ in range(2):
            torch.zeros(1).put_(torch.tensor([0]), torch.ones(1))
            warnings.warn("Memory Efficient attention defaults to a non-deterministic algorithm. To ...", stacklevel=1)
        warnings.warn("of another kind", stacklevel=1)
    assert names == ["put_", "Memory Efficient attention"]
    assert [line.partition(" to the bit")[0] for line in capsys.readouterr().err.splitlines()] == [
        "warning: on this device torch cannot repeat put_",
        "warning: on this device torch cannot repeat Memory Efficient attention",
    ]


@pytest.mark.medium
def test_memory_that_layers_have_freed_is_not_given_back_to_the_kernel() -> None:
    layers = """
import psutil, torch
from plumbline.training import device_and_precision
from plumbline.training.device_and_precision import make_repeatable
make_repeatable(0)
before = psutil.Process().memory_info().rss
outputs = [torch.ones(2**22) for _ in range(16)]
del outputs
print(psutil.Process().memory_info().rss - before)
"""
    kept = int(run_in(PROJECT, sys.executable, "-c", layers).stdout)
    assert kept > 200 * 2**20  # of 256 MiB
