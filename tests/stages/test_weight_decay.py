"""Problem 3: three forms of one update, the bound, and the run at hand."""

import json
from pathlib import Path

import pytest
import torch

from plumbline.errors import UserError
from stages import weight_decay
from tests.conftest import Workspace


def test_the_metrics_are_those_of_the_formulas(workspace: Workspace) -> None:
    workspace.set(weight_decay__alpha=0.25, weight_decay__lambda_=0.5, finetune__lr=0.5, finetune__weight_decay=0.5)
    weight_decay.main()
    metrics = json.loads(Path("metrics/weight_decay.json").read_text())
    # 1 - 2 * 0.25 * 0.5; 1 / (2 * 0.5); 1 - 0.5 * 0.5
    assert (metrics["shrink_factor"], metrics["step_size_limit"], metrics["finetune_shrink_factor"]) == (0.75, 1, 0.75)
    assert metrics["finetune_lr_over_limit"] == 0.25  # 1 / (2 lambda) = 1 / 0.5 = 2, and lr is a quarter of it
    assert metrics["log10_max_relative_error"] < -12
    assert metrics["checks_failed"] == 0


def test_a_step_is_the_one_worked_by_hand() -> None:
    # L = 3 w, w = 2, alpha = 0.1, lambda = 0.5: w' = 2 (1 - 0.1) - 0.1 * 3 = 1.5
    start = torch.tensor([2.0], dtype=torch.float64)
    for form in (
        weight_decay.trajectory_of_penalty,
        weight_decay.trajectory_of_shrinking,
        weight_decay.trajectory_of_sgd,
    ):
        assert form(lambda w: 3 * w.sum(), start, 0.1, 0.5, 1).item() == pytest.approx(1.5, abs=1e-15)


@pytest.mark.parametrize("lr", [2.0, 3.0])
def test_a_run_beyond_the_bound_is_refused_with_the_bound(workspace: Workspace, lr: float) -> None:
    workspace.set(finetune__lr=lr, finetune__weight_decay=0.5)
    with pytest.raises(UserError, match=f"finetune.lr is {lr:g}, too large for .* set it below 2") as error:
        weight_decay.main()
    assert "\n" not in str(error.value)
    assert not Path("metrics/weight_decay.json").exists()


def test_without_weight_decay_any_step_size_is_within_the_bound(workspace: Workspace) -> None:
    workspace.set(finetune__lr=100.0)
    weight_decay.main()
    assert json.loads(Path("metrics/weight_decay.json").read_text())["finetune_shrink_factor"] == 1


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("shrink_factor", lambda alpha, lambda_: 1 - alpha * lambda_),  # lambda for 2 lambda
        ("step_size_limit", lambda lambda_: 1 / lambda_),
    ],
)
def test_a_planted_fault_fails_the_stage(workspace: Workspace, monkeypatch, name: str, wrong) -> None:
    monkeypatch.setattr(weight_decay, name, wrong)
    with pytest.raises(UserError, match="check failed"):
        weight_decay.main()
