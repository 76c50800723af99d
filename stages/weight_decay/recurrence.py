"""The update on a quadratic as a recurrence of the weights alone, whose polynomial gives the bounds of `bounds`.

On L(w) = mu w^2 / 2 with c = mu + 2 lambda, each weight follows from the two before it:

    heavy ball   w_{t+1} = (1 + beta - alpha c) w_t - beta w_{t-1}
    Nesterov     w_{t+1} = (1 + beta) (1 - alpha c) w_t - beta (1 - alpha c) w_{t-1}

The recurrence is compared with torch's SGD, the roots of its polynomial with the eigenvalues of the update.
Source: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and momentum".
"""

import numpy as np
import torch

from plumbline.checks.claims import Checks
from stages.weight_decay.stable_step_sizes import stable_step_size
from stages.weight_decay.updates import FORMS, TRAJECTORY_LIMIT, Momentum, relative_error, sgd_step, trajectory_of_sgd

CURVATURE, LAMBDA = 1.0, 0.05
SCALES = (0.3, 0.9)  # of the bound: the step sizes at which the recurrence is compared
STEPS = 40
ROOT_LIMIT = 1e-9


def recurrence(alpha: float, c: float, momentum: Momentum) -> tuple[float, float]:
    """Return a and b of w_{t+1} = a w_t - b w_{t-1}: the sum and the product of the polynomial's roots."""
    if momentum.nesterov:
        return (1 + momentum.beta) * (1 - alpha * c), momentum.beta * (1 - alpha * c)
    return 1 + momentum.beta - alpha * c, momentum.beta


def roots(alpha: float, c: float, momentum: Momentum) -> np.ndarray:
    """Return the two roots of rho^2 - a rho + b, complex, sorted."""
    a, b = recurrence(alpha, c, momentum)
    return np.sort_complex(np.roots([1, -a, b]).astype(complex))


def eigenvalues(alpha: float, c: float, momentum: Momentum) -> np.ndarray:
    """Return the eigenvalues of one update as a map of (w, v), from its effect on (1, 0) and on (0, 1); sorted."""
    w, velocity = torch.eye(2, dtype=torch.float64)
    columns = torch.stack(sgd_step(w, velocity, c * w, alpha, momentum))
    return np.sort_complex(np.linalg.eigvals(columns.numpy()).astype(complex))


def error_of_recurrence(alpha: float, momentum: Momentum) -> float:
    """Return the largest error of the recurrence relative to the weights of torch's SGD."""
    start = torch.ones(1, dtype=torch.float64)
    theirs = trajectory_of_sgd(lambda w: (CURVATURE * w**2 / 2).sum(), start, alpha, LAMBDA, STEPS, momentum)[:, 0]
    a, b = recurrence(alpha, CURVATURE + 2 * LAMBDA, momentum)
    ours = [1.0, theirs[0].item()]
    while len(ours) <= STEPS:
        ours.append(a * ours[-1] - b * ours[-2])
    return relative_error(torch.tensor(ours[1:], dtype=torch.float64), theirs)


def check_recurrence(checks: Checks) -> dict[str, float]:
    """Check the recurrence and the roots for each momentum; return the recurrence's largest relative errors."""
    c, errors = CURVATURE + 2 * LAMBDA, {}
    for momentum in FORMS:
        bound = stable_step_size(CURVATURE, LAMBDA, momentum)
        errors[momentum.name] = max(error_of_recurrence(scale * bound, momentum) for scale in SCALES)
        claim = f"{momentum.name}: each weight of torch's SGD on a quadratic follows from the two before it"
        checks.expect_error(errors[momentum.name], TRAJECTORY_LIMIT, claim)
        apart = max(
            np.abs(roots(scale * bound, c, momentum) - eigenvalues(scale * bound, c, momentum)).max()
            for scale in SCALES
        )
        checks.expect_error(
            apart, ROOT_LIMIT, f"{momentum.name}: the polynomial's roots are the eigenvalues of the update"
        )
        least, other = roots(bound, c, momentum)
        checks.expect(
            abs(least + 1) < ROOT_LIMIT and abs(other) < 1,
            f"{momentum.name}: at the bound one root is -1 and the other lies within the unit circle",
            f"{least.real:.9f} and {other.real:.4f}",
        )
    return errors
