"""Show where a penalty in the loss and a shrinking of the weights part: with Adam, not with SGD.

Adam divides the gradient by the root of its second moment, the penalty's gradient with it, so that weights with
large gradients hardly decay; AdamW shrinks the weights beside that step, all by the same factor.
Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2; Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
"""

import torch

from plumbline import params
from plumbline.checks import Checks
from stages.weight_decay.updates import (
    FEATURES,
    TRAJECTORY_LIMIT,
    Loss,
    logistic_regression,
    relative_error,
    shrink_factor,
    trajectory_of_sgd,
)

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8  # torch's defaults
VISIBLE = 0.01  # of 2 alpha lambda, by which AdamW shrinks in one step
# In hundreds of steps Adam comes to where its second moment is next to 0 and its steps jump: rounding then grows
# until no two computations agree.
ADAM_STEPS = 50


def trajectory_of_adam(
    loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int, *, decoupled: bool
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of Adam with the penalty, or decoupled of AdamW."""
    first, second, trajectory = torch.zeros_like(w), torch.zeros_like(w), []
    for step in range(1, steps + 1):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(w), w)
        w = w.detach()
        if decoupled:
            w = shrink_factor(alpha, lambda_) * w
        else:
            gradient = gradient + 2 * lambda_ * w
        first = BETA_1 * first + (1 - BETA_1) * gradient
        second = BETA_2 * second + (1 - BETA_2) * gradient**2
        mean, variance = first / (1 - BETA_1**step), second / (1 - BETA_2**step)
        w = w - alpha * mean / (variance.sqrt() + EPS)
        trajectory.append(w)
    return torch.stack(trajectory)


def trajectory_of_torch(
    optimiser_class: type, loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of torch's Adam or AdamW."""
    w = w.clone().requires_grad_()
    optimiser = optimiser_class([w], lr=alpha, betas=(BETA_1, BETA_2), eps=EPS, weight_decay=2 * lambda_)
    trajectory = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss(w).backward()
        optimiser.step()
        trajectory.append(w.detach().clone())
    return torch.stack(trajectory)


def trajectory_of_decoupled_sgd(loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), shrunk, then moved by torch's SGD without decay."""
    w = w.clone().requires_grad_()
    optimiser = torch.optim.SGD([w], lr=alpha)
    trajectory = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss(w).backward()
        with torch.no_grad():
            w.mul_(shrink_factor(alpha, lambda_))
        optimiser.step()
        trajectory.append(w.detach().clone())
    return torch.stack(trajectory)


def check_decoupling(checks: Checks, own: params.WeightDecay) -> float:
    """Show that both kinds of decay are one for SGD and two for Adam; return Adam's relative difference."""
    loss, start = logistic_regression(own.alpha), torch.randn(FEATURES, dtype=torch.float64)
    arguments = (loss, start, own.alpha, own.lambda_, own.steps)
    error = relative_error(trajectory_of_decoupled_sgd(*arguments), trajectory_of_sgd(*arguments))
    checks.expect_error(error, TRAJECTORY_LIMIT, "for SGD decay beside the step equals the penalty's")
    steps = min(own.steps, ADAM_STEPS)
    arguments = (*arguments[:-1], steps)
    trajectories = {}
    for optimiser, decoupled in ((torch.optim.Adam, False), (torch.optim.AdamW, True)):
        theirs = trajectory_of_torch(optimiser, *arguments)
        error = relative_error(trajectory_of_adam(*arguments, decoupled=decoupled), theirs)
        checks.expect_error(error, TRAJECTORY_LIMIT, f"hand-written {optimiser.__name__} equals torch's")
        trajectories[decoupled] = theirs
    difference = relative_error(trajectories[False], trajectories[True])
    checks.expect(
        difference > VISIBLE * 2 * own.alpha * own.lambda_,
        f"Adam and AdamW part: within {steps} steps by {difference:.2g} of the weights",
    )
    return difference
