"""The precision is the one that was asked for, and `auto` follows the hardware."""

import pytest
import torch

from plumbline.training import compute
from plumbline.training.compute import choose_compute


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert choose_compute("float32").precision == torch.float32


@pytest.mark.parametrize(("has", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_exactly_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, has: bool, precision: torch.dtype
) -> None:
    monkeypatch.setattr(compute, "has_bfloat16", lambda device: has)
    assert choose_compute("auto").precision == precision


def test_autocast_multiplies_in_the_precision() -> None:
    a = torch.eye(2)
    device = torch.device("cpu")
    for precision in (torch.float32, torch.bfloat16):
        with compute.Compute(device, precision).autocast():
            assert (a @ a).dtype == precision


def test_bfloat16_needs_instructions_that_torch_is_allowed_to_use(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"architecture": "x86_64", "avx512_bf16": True, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    for allowed, has in (("AVX512", True), ("AVX2", False), ("DEFAULT", False)):
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda allowed=allowed: allowed)
        assert compute.has_bfloat16(torch.device("cpu")) == has


def test_in_float64_weights_inputs_and_losses_are_float64() -> None:
    exact = choose_compute("float64")
    network = exact.place(torch.nn.Conv2d(3, 2, 1))
    assert (exact.weights_dtype, network.weight.dtype, exact.is_mixed) == (torch.float64, torch.float64, False)
    assert compute.Compute(torch.device("cpu"), torch.bfloat16).weights_dtype == torch.float32
