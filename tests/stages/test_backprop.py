"""Problem 1: the gradients against worked numbers and autograd; planted faults are caught."""

import json
from pathlib import Path

import pytest
import torch

from plumbline.checks import Checks
from plumbline.errors import UserError
from stages import backprop
from tests.conftest import Workspace


def test_gradients_of_one_unit_are_those_worked_by_hand() -> None:
    # x = 1, w1 = 0, w2 = 3, y = 1: z = 0, u = 1/2, y_hat = 3/2, L = 1/4;
    # dL/dy_hat = 2 (3/2 - 1) = 1; dL/dw2 = 1/2; dL/du = 3; dL/dz = 3 * 1/2 * 1/2 = 3/4 = dL/dw1; dL/dx = 0.
    X, W1, W2, y = (torch.tensor([[value]], dtype=torch.float64) for value in (1, 0, 3, 1))
    kept = backprop.forward(X, W1, W2)
    gradients = backprop.backward(X, W1, W2, y, kept, input_gradient=True)
    assert backprop.loss(kept.y_hat, y).item() == 0.25
    assert [g.item() for g in gradients] == [0.75, 0.5, 0.0]


def test_the_metrics_hold_the_cost_and_every_check_passes(workspace: Workspace) -> None:
    workspace.set(backprop__trials=20, backprop__samples=2, backprop__inputs=3, backprop__hidden=4, backprop__outputs=5)
    backprop.main()
    metrics = json.loads(Path("metrics/backprop.json").read_text())
    # By hand: forward 2 (3*4 + 4*5) = 64; backward 2 (3*4 + 2*4*5) = 104; with the input's gradient 2 * 64.
    assert (metrics["forward_macs"], metrics["backward_macs"]) == (64, 104)
    assert metrics["backward_macs_with_input_gradient"] == 128
    assert metrics["backward_over_forward"] == 104 / 64
    assert metrics["log10_max_relative_error"] < -12
    assert metrics["checks_failed"] == 0


FAULTS = {
    "a forgotten 2": lambda g, X, W2, u, e: g._replace(dW1=g.dW1 / 2, dW2=g.dW2 / 2),
    "1 - u for u (1 - u)": lambda g, X, W2, u, e: g._replace(dW1=X.T @ ((2 * e @ W2.T) * (1 - u))),
    "the print's transposed dW2": lambda g, X, W2, u, e: g._replace(dW2=2 * e.T @ u if e.T.shape[0] == u.shape[1] else g.dW2 * 0),
    "a sign": lambda g, X, W2, u, e: g._replace(dX=-g.dX),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_fails_the_stage(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    right = backprop.backward

    def wrong(X, W1, W2, y, kept, *, input_gradient):
        gradients = right(X, W1, W2, y, kept, input_gradient=True)
        return FAULTS[fault](gradients, X, W2, kept.u, kept.y_hat - y)

    monkeypatch.setattr(backprop, "backward", wrong)
    workspace.set(backprop__trials=5)
    with pytest.raises((UserError, RuntimeError)):
        backprop.main()
    assert not Path("metrics/backprop.json").exists()


def test_a_wrong_cost_formula_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backprop, "forward_macs", lambda n, d, h, o: n * d * h)
    checks = Checks()
    backprop.check_cost(checks, 2, 3, 4, 5)
    assert checks.failures
