"""The curvature of the loss: against full Hessians that torch and numpy compute, and as the stage runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from plumbline.run.errors import UserError
from stages.curvature import __main__ as curvature
from stages.curvature.hessian import gradient_and_product
from stages.curvature.lanczos import extreme_eigenvalues
from tests.support.projects import run_in


def small_network() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 3)).double()
    return network, torch.randn(5, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1, 2, 1, 0])


def hessian_by_torch(network: nn.Module, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the full Hessian (P, P) of the mean cross-entropy, by torch.autograd.functional."""
    names, shapes = zip(*((name, p.shape) for name, p in network.named_parameters()), strict=True)
    sizes = [shape.numel() for shape in shapes]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        values = {n: piece.view(s) for n, piece, s in zip(names, flat.split(sizes), shapes, strict=True)}
        logits = torch.func.functional_call(network, values, (inputs,))
        return nn.functional.cross_entropy(logits, labels)

    flat = torch.cat([p.detach().flatten() for p in network.parameters()])
    return torch.autograd.functional.hessian(loss, flat)


def test_products_and_extremes_are_those_of_the_full_hessian() -> None:
    network, inputs, labels = small_network()
    full = hessian_by_torch(network, inputs, labels)
    loss = nn.functional.cross_entropy(network(inputs), labels)
    gradient, product = gradient_and_product(loss, list(network.parameters()))
    vector = torch.randn_like(gradient)
    torch.testing.assert_close(product(vector), full @ vector, rtol=1e-10, atol=1e-12)
    values = np.linalg.eigvalsh(full.numpy())
    found = extreme_eigenvalues(product, gradient, len(gradient))
    assert found.largest == pytest.approx(values[-1], rel=1e-8)
    assert found.smallest == pytest.approx(values[0], rel=1e-8)
    assert found.residual < 1e-6
    assert found.asymmetry < 1e-10


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**31))
@settings(max_examples=60)
def test_the_largest_is_never_exceeded_and_lies_within_the_residual(size: int, steps: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, dtype=torch.float64, generator=generator)
    matrix = matrix + matrix.T
    start = torch.randn(size, dtype=torch.float64, generator=generator)
    found = extreme_eigenvalues(lambda v: matrix @ v, start, steps)
    values = np.linalg.eigvalsh(matrix.numpy())
    tolerance = 1e-8 * np.abs(values).max()
    assert found.largest <= values[-1] + tolerance
    assert np.abs(values - found.largest).min() <= found.residual + tolerance
    assert found.asymmetry < 1e-8


def test_more_steps_are_taken_where_the_largest_is_not_known_to_its_size() -> None:
    # (w1^2 - w2^2) / 2 at (1, 1): gradient (1, -1), Hessian diag(1, -1). One step finds (1 - 1) / 2 = 0, give or take 1.
    network = nn.Linear(2, 1, bias=False).double()
    nn.init.ones_(network.weight)
    loss = (network.weight**2 @ torch.tensor([1.0, -1.0], dtype=torch.float64)).sum() / 2
    gradient, product = gradient_and_product(loss, [network.weight])
    one = extreme_eigenvalues(product, gradient, 1)
    assert (one.largest, one.residual) == pytest.approx((0, 1), abs=1e-12)
    found = curvature.curvature(loss, network, 1)
    assert (found.largest, found.smallest) == pytest.approx((1, -1))
    assert found.residual < 1e-12


def test_the_further_steps_go_on_from_the_first_and_end_once_it_is_known_or_at_the_most() -> None:
    generator = torch.Generator().manual_seed(1)
    matrix = torch.diag(torch.linspace(-1, 1, 30, dtype=torch.float64))
    start, products = torch.rand(30, dtype=torch.float64, generator=generator), []

    def product(vector: torch.Tensor) -> torch.Tensor:
        products.append(1)
        return matrix @ vector

    found = extreme_eigenvalues(product, start, 1, 8)
    taken = len(products)
    assert 1 < taken < 8
    assert found == extreme_eigenvalues(product, start, taken)
    assert extreme_eigenvalues(product, start, taken - 1).residual > abs(found.largest) / 2
    products.clear()
    assert extreme_eigenvalues(product, start, 1, 2).residual > 0
    assert len(products) == 2


def test_products_that_are_not_symmetric_show() -> None:
    matrix = torch.tensor([[1.0, 2.0], [0.0, 1.0]])
    assert extreme_eigenvalues(lambda v: matrix @ v, torch.tensor([1.0, 1.0]), 2).asymmetry > 0.1


@pytest.mark.slow
def test_the_stage_measures_the_run_at_hand_and_says_the_same_twice(tiny_copy: Path) -> None:
    metrics = json.loads((tiny_copy / "metrics/curvature.json").read_text())
    assert metrics["largest_curvature"] > 0
    assert metrics["checks_passed"] > 0
    # A new head guesses: ln 2 for two classes, give or take what random weights do.
    assert metrics["loss"] == pytest.approx(np.log(2), abs=0.5)
    before = (tiny_copy / "metrics/curvature.json").read_bytes()
    run_in(tiny_copy, "python", "-m", "stages.curvature")
    assert (tiny_copy / "metrics/curvature.json").read_bytes() == before


def test_without_a_backbone_it_is_one_line(workspace) -> None:
    with pytest.raises(UserError, match="models/backbone.safetensors"):
        curvature.main()
    assert not Path("metrics").exists()
