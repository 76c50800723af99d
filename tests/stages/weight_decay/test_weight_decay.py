"""Problem 3: three forms of one update, the bound, and the run at hand."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.params.weight_decay import WeightDecay
from plumbline.run.errors import UserError
from stages.weight_decay import __main__ as weight_decay
from stages.weight_decay import decoupling, recurrence, stable_step_sizes, updates
from stages.weight_decay.updates import Momentum
from tests.conftest import Workspace


@pytest.mark.medium
def test_the_metrics_are_those_of_the_formulas(workspace: Workspace) -> None:
    workspace.set(weight_decay__alpha=0.25, weight_decay__lambda_=0.5, finetune__lr=0.5, finetune__weight_decay=0.5)
    weight_decay.main()
    metrics = json.loads(Path("metrics/weight_decay.json").read_text())
    # 1 - 2 * 0.25 * 0.5; 1 / (2 * 0.5); 1 - 0.5 * 0.5
    assert (metrics["shrink_factor"], metrics["step_size_limit"], metrics["finetune_shrink_factor"]) == (0.75, 1, 0.75)
    assert metrics["finetune_lr_over_limit"] == 0.25  # 1 / (2 lambda) = 1 / 0.5 = 2, and lr is a quarter of it
    assert metrics["log10_max_relative_error"] < -12
    assert metrics["checks_passed"] > 0


def test_a_step_is_the_one_worked_by_hand() -> None:
    # L = 3 w, w = 2, alpha = 0.1, lambda = 0.5: w' = 2 (1 - 0.1) - 0.1 * 3 = 1.5
    start = torch.tensor([2.0], dtype=torch.float64)
    for form in (
        updates.trajectory_of_penalty,
        updates.trajectory_of_shrinking,
        updates.trajectory_of_sgd,
    ):
        assert form(lambda w: 3 * w.sum(), start, 0.1, 0.5, 1).item() == pytest.approx(1.5, abs=1e-15)


@pytest.mark.parametrize("lr", [2.0, 3.0])
def test_a_run_beyond_the_bound_is_refused_with_the_bound(workspace: Workspace, lr: float) -> None:
    workspace.set(finetune__lr=lr, finetune__weight_decay=0.5)
    with pytest.raises(UserError, match=f"finetune.lr is {lr:g}, too large for .* set it below 2") as error:
        weight_decay.main()
    assert "\n" not in str(error.value)
    assert not Path("metrics/weight_decay.json").exists()


@pytest.mark.medium
def test_without_weight_decay_any_step_size_is_within_the_bound(workspace: Workspace) -> None:
    workspace.set(finetune__lr=100.0)
    weight_decay.main()
    assert json.loads(Path("metrics/weight_decay.json").read_text())["finetune_shrink_factor"] == 1


@given(st.floats(0, 50), st.floats(0.01, 2), st.floats(0, 0.99), st.booleans())
@settings(max_examples=200)
def test_the_bound_is_where_the_companion_matrix_reaches_the_unit_circle(
    curvature: float, lambda_: float, beta: float, nesterov: bool
) -> None:
    alpha = stable_step_sizes.stable_step_size(curvature, lambda_, Momentum("", beta, nesterov))
    c = curvature + 2 * lambda_

    def radius(step_size: float) -> float:
        # One update of (w, v): v' = beta v + c w; w' = w - alpha v', or w - alpha (c w + beta v').
        new_v = np.array([c, beta])
        new_w = np.array([1, 0]) - step_size * (np.array([c, 0]) + beta * new_v if nesterov else new_v)
        return np.abs(np.linalg.eigvals(np.array([new_w, new_v]))).max()

    assert radius(alpha * (1 - 1e-4)) < 1
    assert radius(alpha * (1 + 1e-4)) > 1


def test_two_steps_with_momentum_are_those_worked_by_hand() -> None:
    # L = 3 w, w = 2, alpha = 0.1, lambda = 0.5, beta = 0.5.
    # Step 1: g = 3 + 2 = 5, v = 5, w = 2 - 0.5 = 1.5. Step 2: g = 3 + 1.5 = 4.5, v = 2.5 + 4.5 = 7, w = 1.5 - 0.7 = 0.8.
    # Nesterov: step 1 moves by g + v / 2 = 7.5, w = 1.25; step 2: g = 4.25, v = 6.75, moves by 7.625, w = 0.4875.
    start = torch.tensor([2.0], dtype=torch.float64)
    for form in (updates.trajectory_of_penalty, updates.trajectory_of_shrinking, updates.trajectory_of_sgd):
        for nesterov, end in ((False, 0.8), (True, 0.4875)):
            momentum = Momentum("", 0.5, nesterov)
            assert form(lambda w: 3 * w.sum(), start, 0.1, 0.5, 2, momentum)[-1].item() == pytest.approx(end, abs=1e-14)


def test_the_recurrence_is_the_one_worked_by_hand() -> None:
    # w_0 = 1, alpha = 0.1, c = 2, beta = 0.5. Heavy ball: v = 2, w_1 = 0.8; v = 1 + 1.6 = 2.6, w_2 = 0.54.
    # Nesterov: moves by 2 + 1 = 3, w_1 = 0.7; v = 1 + 1.4 = 2.4, moves by 1.4 + 1.2 = 2.6, w_2 = 0.44.
    for nesterov, first, second in ((False, 0.8, 0.54), (True, 0.7, 0.44)):
        a, b = recurrence.recurrence(0.1, 2, Momentum("", 0.5, nesterov))
        assert a * first - b * 1 == pytest.approx(second, abs=1e-15)


@pytest.mark.medium
def test_each_bound_stands_under_the_formula_that_gives_it(workspace: Workspace) -> None:
    weight_decay.main()
    derivation = json.loads(Path("data/derivations/weight_decay.json").read_text())
    found = {step["verified"].split(":")[0]: step["latex"] for step in derivation["steps"]}
    of_heavy_ball = found["found by bisection on actual runs for 12 cases of mu and lambda with beta = 0 and 0.9"]
    of_nesterov = found["found by bisection on actual runs for 6 cases of mu and lambda with beta = 0.9"]
    assert of_heavy_ball.endswith(r"\frac{2\,(1 + \beta)}{\mu + 2 \lambda}")
    assert of_nesterov.endswith(r"\frac{2\,(1 + \beta)}{(1 + 2 \beta)(\mu + 2 \lambda)}")
    # mu / (mu + 2 lambda) with mu = 1, and lambda = 0.1 and 0.2
    assert any("ends at 0.833333 for lambda = 0.1 and at 0.714286 for 0.2" in verified for verified in found)


def test_a_step_of_adam_and_of_adamw_is_the_one_worked_by_hand() -> None:
    # The first step of Adam is alpha in the gradient's direction, whatever its size: 2 - 0.1; AdamW shrinks beside it
    # by 1 - 2 * 0.1 * 0.5 = 0.9: 1.8 - 0.1.
    start = torch.tensor([2.0], dtype=torch.float64)
    for decoupled, end in ((False, 1.9), (True, 1.7)):
        steps = decoupling.trajectory_of_adam(lambda w: 3 * w.sum(), start, 0.1, 0.5, 1, decoupled=decoupled)
        assert steps.item() == pytest.approx(end, abs=1e-8)


def test_sgd_that_shrinks_beside_the_step_is_the_penaltys_without_momentum_alone() -> None:
    # L = 0, w = 1, alpha = 0.5, lambda = 0.5: both halve w in the first step; Nesterov's penalty takes 0.5 (1 + 0.9).
    # Second step of the penalty: v = 0.9 + 0.5 = 1.4, w = 0.5 - 0.7 = -0.2, beside the step 0.25. Nesterov's: w = 0.05,
    # g = 0.05, v = 0.95, w = 0.05 - 0.5 (0.05 + 0.855) = -0.4025. The largest weight is that of the first step.
    params = WeightDecay(alpha=0.5, lambda_=0.5, steps=1)
    start = torch.ones(1, dtype=torch.float64)
    error, heavy_ball, nesterov = decoupling.differences_of_sgd(params, lambda w: 0 * w.sum(), start)
    assert error == 0
    assert heavy_ball == pytest.approx((0.25 + 0.2) / 0.5)
    assert nesterov == pytest.approx((0.25 + 0.4025) / 0.4025)


@pytest.mark.medium
def test_the_trajectories_shrink_below_the_bound_swing_at_it_and_grow_above(workspace: Workspace) -> None:
    workspace.set(weight_decay__steps=5)
    weight_decay.main()
    table = pd.read_csv("plots/weight_decay.csv")
    last = table.groupby("step_size", sort=False)["weight"].last().abs().to_dict()
    # mu = 1, lambda = 0.05: alpha c is 1.8, 2 and 2.1, so each step multiplies by -0.8, -1 and -1.1.
    assert last["0.9 of the bound"] == pytest.approx(0.8**40)
    assert last["at the bound"] == pytest.approx(1)
    assert last["1.05 of the bound"] == pytest.approx(1.1**40)
    derivation = json.loads(Path("data/derivations/weight_decay.json").read_text())
    assert {"3 (a)", "3 (b)", "3 (c)", "3 (d)"} <= {step["number"] for step in derivation["steps"]}
    assert len(derivation["tables"][0]["rows"]) == 18


@pytest.mark.medium
@pytest.mark.parametrize(
    ("alpha", "lambda_", "steps"),
    [(0.05, 0.1, 2000), (1, 0.4, 200), (5, 0.05, 200), (50, 0.001, 200), (0.001, 0.0001, 1), (0.0001, 1e-6, 5)],
)
def test_what_holds_holds_for_any_parameters_within_the_bound(workspace: Workspace, alpha, lambda_, steps) -> None:
    workspace.set(weight_decay__alpha=alpha, weight_decay__lambda_=lambda_, weight_decay__steps=steps)
    weight_decay.main()
    assert json.loads(Path("metrics/weight_decay.json").read_text())["checks_passed"] > 0


def test_an_alpha_beyond_the_homeworks_bound_is_one_line_that_names_it(workspace: Workspace) -> None:
    workspace.set(weight_decay__alpha=6.0, weight_decay__lambda_=0.1)
    with pytest.raises(
        UserError, match=r"weight_decay.alpha is 6, and 1 / \(2 weight_decay.lambda_\) is 5: set it below"
    ):
        weight_decay.main()
