"""Show where a penalty in the loss and a shrinking beside the step differ: with momentum and Adam, not with plain SGD.

Momentum carries the penalty's gradient into later steps; a shrinking beside the step is done once. Adam divides the
gradient, including the penalty's, by the root of its second moment, so that weights with large gradients hardly decay.
AdamW shrinks all weights by the same factor, in addition to that step.
Source: Loshchilov and Hutter 2019, arXiv:1711.05101, algorithms 1 and 2; Kingma and Ba 2015, arXiv:1412.6980,
algorithm 1.
"""

from typing import NamedTuple

import torch

from plumbline.checks.claims import Checks
from plumbline.params.weight_decay import WeightDecay
from stages.weight_decay.updates import (
    FEATURES,
    FORMS,
    TRAJECTORY_LIMIT,
    Loss,
    logistic_regression,
    relative_error,
    shrink_factor,
    trajectory_of_sgd,
    trajectory_of_torch,
)

BETA_1, BETA_2, EPS = 0.9, 0.999, 1e-8  # torch's defaults
VISIBLE = 0.01  # of 2 alpha lambda, by which AdamW shrinks in one step
# After hundreds of steps the second moment is close to 0 and the steps are large: rounding errors then grow until no
# two computations agree.
ADAM_STEPS = 50


class Differences(NamedTuple):
    """How far the weights of the penalty and of the shrinking are apart at most, relative to the largest weight."""

    momentum: float
    nesterov: float
    adam: float


def trajectory_of_adam(
    loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int, *, decoupled: bool
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of Adam with the penalty, or of AdamW if `decoupled`."""
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


def check_decoupling(checks: Checks, params: WeightDecay) -> Differences:
    """Show that both kinds of decay are equal for plain SGD, and differ with momentum and for Adam; return how far."""
    loss, start = logistic_regression(params.alpha), torch.randn(FEATURES, dtype=torch.float64)
    error, momentum, nesterov = differences_of_sgd(params, loss, start)
    checks.expect_error(error, TRAJECTORY_LIMIT, "for SGD without momentum decay beside the step equals the penalty's")
    for name, difference in (("momentum", momentum), ("Nesterov momentum", nesterov)):
        checks.expect(
            difference > VISIBLE * 2 * params.alpha * params.lambda_,
            f"for SGD with {name} decay beside the step differs from the penalty's",
            f"by up to {difference:.2g} of the largest weight",
        )
    return Differences(momentum, nesterov, difference_of_adam(checks, params, loss, start))


def differences_of_sgd(params: WeightDecay, loss: Loss, start: torch.Tensor) -> list[float]:
    """Return how far torch's SGD with weight_decay is from one that shrinks beside the step, with each momentum.

    In the first step heavy-ball momentum has nothing to carry on yet: two steps at least.
    """
    shrink, steps, found = shrink_factor(params.alpha, params.lambda_), max(params.steps, 2), []
    for momentum in FORMS:
        w = start.clone().requires_grad_()
        optimiser = torch.optim.SGD([w], lr=params.alpha, momentum=momentum.beta, nesterov=momentum.nesterov)
        decoupled = trajectory_of_torch(optimiser, loss, w, steps, shrink)
        penalised = trajectory_of_sgd(loss, start, params.alpha, params.lambda_, steps, momentum)
        found.append(relative_error(decoupled, penalised))
    return found


def difference_of_adam(checks: Checks, params: WeightDecay, loss: Loss, start: torch.Tensor) -> float:
    """Compare Adam and AdamW with torch's, and with each other; return how far apart those two are."""
    steps = min(params.steps, ADAM_STEPS)
    betas, trajectories = (BETA_1, BETA_2), []
    for optimiser_class, decoupled in ((torch.optim.Adam, False), (torch.optim.AdamW, True)):
        w = start.clone().requires_grad_()
        optimiser = optimiser_class([w], lr=params.alpha, betas=betas, eps=EPS, weight_decay=2 * params.lambda_)
        theirs = trajectory_of_torch(optimiser, loss, w, steps)
        ours = trajectory_of_adam(loss, start, params.alpha, params.lambda_, steps, decoupled=decoupled)
        claim = f"hand-written {optimiser_class.__name__} equals torch's"
        checks.expect_error(relative_error(ours, theirs), TRAJECTORY_LIMIT, claim)
        trajectories.append(theirs)
    difference = relative_error(*trajectories)
    checks.expect(
        difference > VISIBLE * 2 * params.alpha * params.lambda_,
        "Adam's weights differ from AdamW's",
        f"within {steps} steps by up to {difference:.2g} of the largest weight",
    )
    return difference
