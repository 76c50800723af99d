"""Problem 1: the gradients against worked numbers, autograd and symbols; the prices; what the stage writes."""

import json
from pathlib import Path

import pandas as pd
import pytest
import sympy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.checks.claims import Checks
from stages.backprop import __main__ as backprop
from stages.backprop import cost, derivation_checks, gradient_checks, hidden_layer, printed_equations
from tests.conftest import Workspace

SIZE = st.integers(1, 7)


def test_gradients_of_one_unit_are_those_worked_by_hand() -> None:
    # x = 1, w1 = 0, w2 = 3, y = 1: z = 0, u = 1/2, y_hat = 3/2, L = 1/4;
    # dL/dy_hat = 2 (3/2 - 1) = 1; dL/dw2 = 1/2; dL/du = 3; dL/dz = 3 * 1/2 * 1/2 = 3/4 = dL/dw1; dL/dx = 0.
    X, W1, W2, y = (torch.tensor([[value]], dtype=torch.float64) for value in (1, 0, 3, 1))
    kept = hidden_layer.forward(X, W1, W2)
    gradients = hidden_layer.backward(X, W1, W2, y, kept, input_gradient=True)
    assert hidden_layer.loss(kept.y_hat, y).item() == 0.25
    assert [g.item() for g in gradients] == [0.75, 0.5, 0.0]


@given(SIZE, SIZE, SIZE, SIZE, st.floats(0.01, 30), st.integers(0, 2**31))
@settings(max_examples=100)
def test_gradients_of_any_shape_and_scale_are_autograds(n, d, h, o, scale, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((n, d), (d, h), (h, o), (n, o))
    network = [scale * torch.randn(shape, dtype=torch.float64, generator=generator) for shape in shapes]
    assert gradient_checks.error_to_autograd(*network) <= 1e-12


def test_a_symbolic_entry_is_sympys_own_derivative_with_nothing_substituted() -> None:
    # The one-entry case, by sympy alone: L = (v / (1 + exp(-x w)) - y)^2.
    x, w, v, y = sympy.symbols("x w v y", real=True)
    u = 1 / (1 + sympy.exp(-x * w))
    ours = x * (2 * (u * v - y)) * v * u * (1 - u)
    assert sympy.simplify(sympy.diff((u * v - y) ** 2, w) - ours) == 0
    assert gradient_checks.wrong_entries(1, 1, 1, 1) == (0, 3)


@given(SIZE, SIZE, SIZE, SIZE)
@settings(max_examples=30)
def test_the_price_is_what_is_counted_multiplication_by_multiplication(n, d, h, o) -> None:
    for wanted in (False, True):
        formula = cost.forward_macs(n, d, h, o), cost.backward_macs(n, d, h, o, input_gradient=wanted)
        assert cost.counted_multiplications(n, d, h, o, input_gradient=wanted) == formula
        assert cost.torch_macs(n, d, h, o, input_gradient=wanted) == formula


def test_what_torch_saves_is_what_the_derivation_keeps() -> None:
    network = hidden_layer.random_network(7, 2, 3, 5)
    # X 7 * 2, u 7 * 3, y_hat - y 7 * 5.
    assert derivation_checks.saved_numbers(*network, input_gradient=False) == 14 + 21 + 35


def test_a_gradient_by_indices_that_is_wrong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = derivation_checks.gradients_by_indices
    monkeypatch.setattr(
        derivation_checks,
        "gradients_by_indices",
        lambda *network: right(*network) | {"u": 1.001 * right(*network)["u"]},
    )
    checks = Checks()
    derivation_checks.check_derivation(checks)
    assert [failure.split(":")[0] for failure in checks.failures] == ["dL/du by indices equals autograd's"]


def test_the_print_is_right_where_it_is_one_number_and_nowhere_else() -> None:
    assert printed_equations.outcome(printed_equations.EQUATIONS[0], 4, 3, 1, 1) == "the gradient"
    assert printed_equations.outcome(printed_equations.EQUATIONS[0], 4, 3, 2, 2) == "its transpose"
    assert printed_equations.outcome(printed_equations.EQUATIONS[1], 1, 1, 1, 1) == "the gradient"
    assert printed_equations.outcome(printed_equations.EQUATIONS[1], 2, 2, 2, 2) == "another matrix"
    assert printed_equations.outcome(printed_equations.EQUATIONS[1], 2, 3, 4, 5) == "not conformable"


@pytest.mark.medium
def test_the_outputs_hold_the_costs_the_table_and_the_derivation(workspace: Workspace) -> None:
    workspace.set(backprop__trials=3, backprop__samples=2, backprop__inputs=3, backprop__hidden=4, backprop__outputs=5)
    backprop.main()
    metrics = json.loads(Path("metrics/backprop.json").read_text())
    # By hand: forward 2 (3*4 + 4*5) = 64; backward 2 (3*4 + 2*4*5) = 104; with the input's gradient 2 * 64.
    derivation = json.loads(Path("data/derivations/backprop.json").read_text())
    verified = [step["verified"] for step in derivation["steps"]]
    for macs in (64, 104, 128):
        assert any(said.startswith(f"{macs} with n, d, h, o = 2, 3, 4, 5, as torch counts") for said in verified)
    assert metrics["backward_over_forward"] == 104 / 64
    assert metrics["log10_max_relative_error"] < -12
    assert metrics["log10_max_complex_step_error"] < -12
    assert metrics["log10_max_layer_error"] < -12
    # Of the head of two outputs fc's 512,000 MACs become 1,024: (7,209,508,864 - 2 * 510,976) over 3,663,250,432.
    assert any("1.9678 as published, with 1,000 outputs, and 1.9678 with a head of 2" in said for said in verified)
    # 784 inputs and 10 outputs: 1 + 10 / 794.
    assert any(step["latex"].endswith(r"\frac{10}{794} \approx 1.0126") for step in derivation["steps"])
    # 9 shapes of 81 have h = o = 1; one of 81 has n = d = h = o = 1.
    _, printed_table, _, network_table = (table["rows"] for table in derivation["tables"])
    assert printed_table == [["(0.5)", 9, 72, 0, 0], ["(0.6)", 1, 2, 6, 72]]
    # ResNet34: twice the forward pass but for conv1's 118,013,952 MACs, whose input is the image.
    forward, backward = (sum(row[column] for row in network_table) for column in (1, 2))
    assert (forward, backward) == (3_663_761_408, 2 * 3_663_761_408 - 118_013_952)
    assert metrics["network_backward_over_forward"] == backward / forward
    assert metrics["checks_passed"] > 0
    curve = pd.read_csv("plots/cost_ratio.csv")
    assert len(curve) == 26
    equal_widths = curve[(curve["outputs_per_input"] == 1) & curve["backward_pass"].str.startswith("without")]
    assert equal_widths["ratio"].item() == 1.5
    assert {"0.1", "0.2", "0.3", "0.4", "0.5", "0.6"} <= {step["number"] for step in derivation["steps"]}
    assert [len(table["rows"]) for table in derivation["tables"]] == [10, 2, 13, 37]
    assert set(json.loads(Path("data/derivations/computational_graph.json").read_text())) == {"nodes", "edges"}
    timing = json.loads(Path("metrics/timing/backprop.json").read_text())
    assert timing["forward_ms_width_512"] > 0


@pytest.mark.medium
@pytest.mark.parametrize("architecture", ["vgg11", "mobilenet_v2", "vit_b_16", "swin_v2_t"])
def test_the_networks_price_is_torchs_for_other_families_too(architecture: str) -> None:
    checks = Checks()
    metrics, _ = backprop.check_network_cost(checks, architecture, 224)
    assert checks.failures == []
    assert 1 < metrics["network_backward_over_forward"] <= 2
