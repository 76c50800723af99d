"""Problem 3: weight decay, as a penalty in the loss, as a shrinking of the weights, and in torch's SGD.

    (a) Loss = L(w) + lambda ||w||^2
    (b) w' = w - alpha (grad L(w) + 2 lambda w)
    (c) w' = (1 - 2 alpha lambda) w - alpha grad L(w)
    (d) 0 < 1 - 2 alpha lambda < 1, that is 0 < alpha < 1 / (2 lambda)

The three give one trajectory on a logistic regression. The bound of (d) is then applied to the run at
hand, to `finetune.lr` and `finetune.weight_decay` = 2 lambda. Writes metrics/weight_decay.json.
"""

from collections.abc import Callable
from pathlib import Path

import torch

from plumbline import params
from plumbline.checks import Checks, log10_error
from plumbline.errors import UserError, run
from plumbline.outputs import write_json

METRICS = Path("metrics/weight_decay.json")

TRAJECTORY_LIMIT = 1e-12  # relative error in float64
SAMPLES, FEATURES = 32, 8  # of the logistic regression

Loss = Callable[[torch.Tensor], torch.Tensor]


def shrink_factor(alpha: float, lambda_: float) -> float:
    """Return the factor by which each update first multiplies the weights, (c)."""
    return 1 - 2 * alpha * lambda_


def step_size_limit(lambda_: float) -> float:
    """Return the step size below which the shrink factor is positive, (d); lambda is above 0."""
    return 1 / (2 * lambda_)


def refuse_unstable_run(lr: float, weight_decay: float) -> None:
    """Refuse a run whose shrink factor is not positive. Without weight decay it is 1, and nothing shrinks."""
    lambda_ = weight_decay / 2
    if shrink_factor(lr, lambda_) <= 0:
        raise UserError(
            f"finetune.lr is {lr:g}, too large for finetune.weight_decay {weight_decay:g}: each update would "
            f"multiply the weights by {shrink_factor(lr, lambda_):g}; set it below {step_size_limit(lambda_):g}"
        )


def trajectory_of_penalty(loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), by autograd through (a)."""
    trajectory = []
    for _ in range(steps):
        w = w.detach().requires_grad_()
        (loss(w) + lambda_ * (w**2).sum()).backward()
        w = w - alpha * w.grad
        trajectory.append(w.detach())
    return torch.stack(trajectory)


def trajectory_of_shrinking(loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), by (c)."""
    trajectory = []
    for _ in range(steps):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(w), w)
        w = shrink_factor(alpha, lambda_) * w - alpha * gradient
        trajectory.append(w.detach())
    return torch.stack(trajectory)


def trajectory_of_sgd(loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of torch's SGD with weight_decay = 2 lambda."""
    w = w.clone().requires_grad_()
    optimiser = torch.optim.SGD([w], lr=alpha, weight_decay=2 * lambda_)
    trajectory = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss(w).backward()
        optimiser.step()
        trajectory.append(w.detach().clone())
    return torch.stack(trajectory)


def logistic_regression() -> Loss:
    """Return the mean loss of a random two-class problem as a function of its weights, in float64."""
    x = torch.randn(SAMPLES, FEATURES, dtype=torch.float64)
    y = (torch.rand(SAMPLES) < 0.5).double()
    return lambda w: torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y)


def check_updates(checks: Checks, own: params.WeightDecay) -> float:
    """Compare the three forms of the update; return the largest relative error."""
    loss = logistic_regression()
    start = torch.randn(FEATURES, dtype=torch.float64)
    arguments = (loss, start, own.alpha, own.lambda_, own.steps)
    sgd = trajectory_of_sgd(*arguments)
    errors = {
        "loss with penalty, by autograd, equals torch's SGD": relative_error(trajectory_of_penalty(*arguments), sgd),
        "hand-written shrinking equals torch's SGD": relative_error(trajectory_of_shrinking(*arguments), sgd),
    }
    for claim, error in errors.items():
        checks.expect_error(error, TRAJECTORY_LIMIT, f"{claim} over {own.steps} steps")
    return max(errors.values())


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference relative to the largest entry."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def check_bound(checks: Checks, own: params.WeightDecay) -> None:
    """Show the shrink factor and the bound on updates that torch makes where the loss is flat."""
    limit = step_size_limit(own.lambda_)
    factor = shrink_factor(own.alpha, own.lambda_)
    error = abs(factor_in_torch(own.alpha, own.lambda_) - factor)
    checks.expect_error(error, TRAJECTORY_LIMIT, f"torch's SGD shrinks by 1 - 2 alpha lambda = {factor:g}")
    checks.expect(0 < factor < 1, f"(d) alpha = {own.alpha:g} is below 1 / (2 lambda) = {limit:g}: 0 < {factor:g} < 1")
    below, above = (factor_in_torch(scale * limit, own.lambda_) for scale in (0.999, 1.001))
    checks.expect(below > 0 > above, f"the factor changes sign at that bound: {below:.4f} below, {above:.4f} above")


def factor_in_torch(alpha: float, lambda_: float) -> float:
    """Return by what torch's SGD multiplies a weight of 1 on which the loss does not depend."""
    return trajectory_of_sgd(lambda w: 0 * w.sum(), torch.ones(1, dtype=torch.float64), alpha, lambda_, 1).item()


def main() -> None:
    settings = params.load()
    own, lr, weight_decay = settings.weight_decay, settings.finetune.lr, settings.finetune.weight_decay
    refuse_unstable_run(lr, weight_decay)
    torch.manual_seed(settings.seed)
    checks = Checks()
    worst = check_updates(checks, own)
    check_bound(checks, own)
    run_factor = shrink_factor(lr, weight_decay / 2)
    checks.expect(0 < run_factor <= 1, f"finetune.lr {lr:g} and weight_decay {weight_decay:g} shrink by {run_factor:g}")
    checks.end()
    metrics = {
        "shrink_factor": shrink_factor(own.alpha, own.lambda_),
        "step_size_limit": step_size_limit(own.lambda_),
        "log10_max_relative_error": log10_error(worst),
        "finetune_shrink_factor": run_factor,
        "finetune_lr_over_limit": lr * weight_decay,  # of 1 / (2 lambda); 0 without weight decay
    }
    write_json(METRICS, metrics | checks.counts())


if __name__ == "__main__":
    run(main)
