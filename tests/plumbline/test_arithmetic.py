"""The precision is the one that was asked for, and `auto` follows the hardware."""

import pytest
import torch

from plumbline import arithmetic
from plumbline.arithmetic import choose_arithmetic


def test_a_named_precision_is_taken_as_it_is() -> None:
    assert choose_arithmetic("float32").precision == torch.float32


@pytest.mark.parametrize(("has", "precision"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_is_bfloat16_exactly_where_the_hardware_has_it(
    monkeypatch: pytest.MonkeyPatch, has: bool, precision: torch.dtype
) -> None:
    monkeypatch.setattr(arithmetic, "has_bfloat16", lambda device: has)
    assert choose_arithmetic("auto").precision == precision


def test_autocast_multiplies_in_the_precision() -> None:
    a = torch.eye(2)
    device = torch.device("cpu")
    for precision in (torch.float32, torch.bfloat16):
        with arithmetic.Arithmetic(device, precision).autocast():
            assert (a @ a).dtype == precision
