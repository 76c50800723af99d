"""Three forms of one update: weight decay as a penalty in the loss, as a shrinking of the weights, and in torch's SGD.

    (a) Loss = L(w) + lambda ||w||^2
    (b) w' = w - alpha (grad L(w) + 2 lambda w)
    (c) w' = (1 - 2 alpha lambda) w - alpha grad L(w)

With heavy-ball momentum beta the velocity is v' = beta v + grad Loss, and w' = w - alpha v'; Nesterov's takes
grad Loss + beta v' for v'. Source: torch.optim.SGD's documentation, without dampening.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from plumbline.checks.claims import Checks
from plumbline.params.weight_decay import WeightDecay

TRAJECTORY_LIMIT = 1e-12  # relative error in float64
SAMPLES, FEATURES = 32, 8  # of the logistic regression
BETA = 0.9
LARGEST_STEP = 0.3  # alpha times the largest curvature of the logistic regression

Loss = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Momentum:
    """A kind of momentum; beta 0 is none."""

    name: str
    beta: float
    nesterov: bool = False


FORMS = (Momentum("no momentum", 0.0), Momentum("momentum", BETA), Momentum("Nesterov momentum", BETA, nesterov=True))


def shrink_factor(alpha: float, lambda_: float) -> float:
    """Return the factor by which each update first multiplies the weights, (c)."""
    return 1 - 2 * alpha * lambda_


def sgd_step(
    w: torch.Tensor, velocity: torch.Tensor, gradient: torch.Tensor, alpha: float | torch.Tensor, momentum: Momentum
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weights and the velocity after one update, (b); `gradient` is that of (a)."""
    velocity = momentum.beta * velocity + gradient
    return w - alpha * (gradient + momentum.beta * velocity if momentum.nesterov else velocity), velocity


def trajectory_of_penalty(
    loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int, momentum: Momentum = FORMS[0]
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), by autograd through (a)."""
    velocity, trajectory = torch.zeros_like(w), []
    for _ in range(steps):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(w) + lambda_ * (w**2).sum(), w)
        w, velocity = sgd_step(w.detach(), velocity, gradient, alpha, momentum)
        trajectory.append(w)
    return torch.stack(trajectory)


def trajectory_of_shrinking(
    loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int, momentum: Momentum = FORMS[0]
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), by (c), the gradient being that of L alone.

    The velocity takes the decay along. Nesterov's step counts the gradient 1 + beta times, and shrinks as often.
    """
    beta, velocity, trajectory = momentum.beta, torch.zeros_like(w), []
    for _ in range(steps):
        w = w.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(w), w)
        w = w.detach()
        times, carried = (1 + beta, beta**2) if momentum.nesterov else (1.0, beta)
        w, velocity = (
            shrink_factor(times * alpha, lambda_) * w - alpha * (times * gradient + carried * velocity),
            beta * velocity + gradient + 2 * lambda_ * w,
        )
        trajectory.append(w)
    return torch.stack(trajectory)


def trajectory_of_sgd(
    loss: Loss, w: torch.Tensor, alpha: float, lambda_: float, steps: int, momentum: Momentum = FORMS[0]
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of torch's SGD with weight_decay = 2 lambda."""
    w = w.clone().requires_grad_()
    optimiser = torch.optim.SGD(
        [w], lr=alpha, momentum=momentum.beta, nesterov=momentum.nesterov, weight_decay=2 * lambda_
    )
    return trajectory_of_torch(optimiser, loss, w, steps)


def trajectory_of_torch(
    optimiser: torch.optim.Optimizer, loss: Loss, w: torch.Tensor, steps: int, shrink: float = 1.0
) -> torch.Tensor:
    """Return the weights after each step, (steps, FEATURES), of an optimiser of w; before each, w times `shrink`."""
    trajectory = []
    for _ in range(steps):
        optimiser.zero_grad()
        loss(w).backward()
        with torch.no_grad():
            w.mul_(shrink)
        optimiser.step()
        trajectory.append(w.detach().clone())
    return torch.stack(trajectory)


def logistic_regression(alpha: float) -> Loss:
    """Return the mean loss of a random two-class problem as a function of its weights, in float64.

    The features are scaled down where alpha is too large for them: then alpha (mu + 2 lambda) < 1.3 whenever
    2 alpha lambda < 1, where every form of momentum is stable. Unstable updates amplify rounding errors, so that no
    two ways of computing them agree for long.
    """
    x = torch.randn(SAMPLES, FEATURES, dtype=torch.float64)
    y = (torch.rand(SAMPLES) < 0.5).double()
    curvature = torch.linalg.matrix_norm(x, ord=2).item() ** 2 / (4 * SAMPLES)  # the logistic loss curves by 1/4
    x *= min(1.0, LARGEST_STEP / (alpha * curvature)) ** 0.5
    return lambda w: torch.nn.functional.binary_cross_entropy_with_logits(x @ w, y)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference relative to the largest entry."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def check_updates(checks: Checks, params: WeightDecay) -> dict[str, float]:
    """Compare the three forms of the update, with each momentum; return the largest relative error of each."""
    loss, start = logistic_regression(params.alpha), torch.randn(FEATURES, dtype=torch.float64)
    errors = {}
    for momentum in FORMS:
        arguments = (loss, start, params.alpha, params.lambda_, params.steps, momentum)
        sgd = trajectory_of_sgd(*arguments)
        of_penalty = relative_error(trajectory_of_penalty(*arguments), sgd)
        of_shrinking = relative_error(trajectory_of_shrinking(*arguments), sgd)
        what, steps = f"equals torch's SGD, {momentum.name}", f"over {params.steps} steps"
        checks.expect_error(of_penalty, TRAJECTORY_LIMIT, f"loss with penalty, by autograd, {what}", steps)
        checks.expect_error(of_shrinking, TRAJECTORY_LIMIT, f"hand-written shrinking {what}", steps)
        errors[momentum.name] = max(of_penalty, of_shrinking)
    return errors


def check_factor(checks: Checks, params: WeightDecay) -> None:
    """Show the shrink factor and its bound, (d), on updates that torch makes where the loss is flat."""
    limit, factor = step_size_limit(params.lambda_), shrink_factor(params.alpha, params.lambda_)
    error = abs(factor_in_torch(params.alpha, params.lambda_) - factor)
    checks.expect_error(error, TRAJECTORY_LIMIT, "torch's SGD multiplies a weight by 1 - 2 alpha lambda", f"{factor:g}")
    figures = f"{params.alpha:g} and {limit:g}, 0 < {factor:g} < 1"
    checks.expect(0 < factor < 1, "(d) alpha is below 1 / (2 lambda), and the factor shrinks", figures)
    below, above = (factor_in_torch(scale * limit, params.lambda_) for scale in (0.999, 1.001))
    checks.expect(below > 0 > above, "the factor changes sign at that bound", f"{below:.4f} below, {above:.4f} above")


def step_size_limit(lambda_: float) -> float:
    """Return the step size below which the shrink factor is positive, (d); lambda is above 0."""
    return 1 / (2 * lambda_)


def factor_in_torch(alpha: float, lambda_: float) -> float:
    """Return the factor by which torch's SGD multiplies a weight on which the loss does not depend."""
    return trajectory_of_sgd(lambda w: 0 * w.sum(), torch.ones(1, dtype=torch.float64), alpha, lambda_, 1).item()
