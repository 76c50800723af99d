"""Find the largest stable step size on a quadratic by running updates, and compare it with the formula.

At the end, the homework's own bound, (d): step sizes in params.yaml beyond it are refused.

On L(w) = mu w^2 / 2 the update is linear in w and the velocity. With c = mu + 2 lambda its characteristic polynomial
is rho^2 - (1 + beta - alpha c) rho + beta for heavy-ball momentum; a root reaches -1 where alpha c = 2 (1 + beta).
For Nesterov's it is rho^2 - (1 + beta)(1 - alpha c) rho + beta (1 - alpha c), which gives 2 (1 + beta) / (1 + 2 beta).
Source: Polyak 1964; Sutskever et al. 2013, "On the importance of initialization and momentum".
"""

import itertools
from dataclasses import dataclass

import pandas as pd
import torch

from plumbline.checks.claims import Checks
from plumbline.checks.stability import lr_over_limit
from plumbline.run.errors import UserError
from stages.weight_decay.updates import FORMS, Momentum, sgd_step, shrink_factor, step_size_limit, trajectory_of_sgd

CURVATURES = (0.0, 1.0, 30.0)
LAMBDAS = (0.05, 0.5)
BOUND_LIMIT = 1e-6  # relative error of the bound that is found
STEPS = 400  # of each run: 1e-7 above the bound the weight grows by 4e-5 in half of them
WINDOW = 8  # steps, whose largest weight is taken: an oscillating weight may be near 0 at a single step
HALVINGS = 24  # of the interval: more digits than BOUND_LIMIT requires
EXAMPLE_LAMBDA, EXAMPLE_CURVATURE = 0.05, 30.0  # for which 1 / (2 lambda) is 10 and the sharp bound 2 / 30.1
OPTIMUM_LIMIT = 1e-9  # relative error of the place where gradient descent ends
OPTIMUM_STEPS = 40  # each halves the distance to the optimum
DRAWN_STEPS = 40
DRAWN = {"0.9 of the bound": 0.9, "at the bound": 1.0, "1.05 of the bound": 1.05}


@dataclass(frozen=True)
class Bound:
    """The largest stable step size for one quadratic and one momentum."""

    curvature: float
    lambda_: float
    momentum: Momentum
    measured: float  # by bisection
    formula: float

    @property
    def error(self) -> float:
        """Return the relative error."""
        return abs(self.measured / self.formula - 1)


def stable_step_size(curvature: float, lambda_: float, momentum: Momentum) -> float:
    """Return the bound by the formula."""
    if momentum.nesterov:
        return 2 * (1 + momentum.beta) / ((1 + 2 * momentum.beta) * (curvature + 2 * lambda_))
    return 1 / lr_over_limit(1.0, curvature, 2 * lambda_, momentum.beta)


def grows(alpha: torch.Tensor, decayed_curvature: torch.Tensor, momentum: Momentum) -> torch.Tensor:
    """Return for each step size (N,) whether the weight is larger at the end of a run than half-way through."""
    w, velocity = torch.ones_like(alpha), torch.zeros_like(alpha)
    halfway, end = torch.zeros_like(w), torch.zeros_like(w)
    for step in range(1, STEPS + 1):
        gradient = decayed_curvature * w  # of mu w^2 / 2 + lambda w^2
        w, velocity = sgd_step(w, velocity, gradient, alpha, momentum)
        if STEPS // 2 - WINDOW < step <= STEPS // 2:
            halfway = torch.maximum(halfway, w.abs())
        if step > STEPS - WINDOW:
            end = torch.maximum(end, w.abs())
    return ~(end <= halfway)  # not finite counts as grown


def bounds_by_bisection() -> list[Bound]:
    """Return the largest stable step size of every combination, found on actual runs."""
    cases = list(itertools.product(CURVATURES, LAMBDAS))
    decayed = torch.tensor([mu + 2 * lambda_ for mu, lambda_ in cases], dtype=torch.float64)
    bounds = []
    for momentum in FORMS:
        low, high = torch.zeros_like(decayed), 5 / decayed  # beyond every bound
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            unstable = grows(middle, decayed, momentum)
            low, high = torch.where(unstable, low, middle), torch.where(unstable, middle, high)
        for (mu, lambda_), alpha in zip(cases, low.tolist(), strict=True):
            bounds.append(Bound(mu, lambda_, momentum, alpha, stable_step_size(mu, lambda_, momentum)))
    return bounds


def final_weight(alpha: float, curvature: float, lambda_: float, momentum: Momentum, steps: int = STEPS) -> float:
    """Return a weight of 1 after `steps` updates of torch's SGD on a quadratic of this curvature."""
    start = torch.ones(1, dtype=torch.float64)
    return trajectory_of_sgd(lambda w: (curvature * w**2 / 2).sum(), start, alpha, lambda_, steps, momentum)[-1].item()


def check_bounds(checks: Checks) -> list[Bound]:
    """Compare what bisection finds with the formulas, and with torch's SGD on either side; return the bounds."""
    bounds = bounds_by_bisection()
    for momentum in FORMS:
        of_momentum = [bound for bound in bounds if bound.momentum == momentum]
        worst = max(bound.error for bound in of_momentum)
        checks.expect_error(worst, BOUND_LIMIT, f"stable step sizes by bisection, {momentum.name}, equal the formula")
        bound = of_momentum[-1]
        below, above = (
            abs(final_weight(scale * bound.measured, bound.curvature, bound.lambda_, momentum, 400))
            for scale in (0.97, 1.03)
        )
        checks.expect(
            below < 1e-2 and above > 1e2,
            f"torch's SGD, {momentum.name}, settles below its bound and not above",
            f"{below:.0e} below, {above:.0e} above",
        )
    return bounds


def check_place_of_the_homeworks_bound(checks: Checks) -> None:
    """Show by an example each that 1 / (2 lambda) is neither necessary for stability nor sufficient."""
    plain, lambda_ = FORMS[0], EXAMPLE_LAMBDA
    limit = step_size_limit(lambda_)
    beyond, too_far = (abs(final_weight(scale * limit, 0.0, lambda_, plain)) for scale in (1.5, 2.1))
    factor = shrink_factor(1.5 * limit, lambda_)
    checks.expect(
        factor < 0 and beyond < 1e-6 and too_far > 1e6,
        "1 / (2 lambda) is not necessary: without curvature a step size up to 1 / lambda is stable",
        f"at 1.5 times the limit the factor is {factor:g}, yet the weight goes to {beyond:.0e}",
    )
    bound = stable_step_size(EXAMPLE_CURVATURE, lambda_, plain)
    below, above = (abs(final_weight(scale * bound, EXAMPLE_CURVATURE, lambda_, plain)) for scale in (0.97, 1.03))
    figures = f"with curvature {EXAMPLE_CURVATURE:g} the bound is {bound:.4f}, the limit {limit:g}"
    checks.expect(
        1.03 * bound < limit and below < 1e-6 and above > 1e6,
        "1 / (2 lambda) is not sufficient where the loss is curved",
        figures,
    )


def check_larger_lambda(checks: Checks, lambda_: float) -> list[float]:
    """Show that a larger lambda moves the optimum of a quadratic to mu / (mu + 2 lambda) of its place.

    Returns where torch's SGD ends for lambda and for twice as much, with mu = 1 and the optimum of L at 1.
    """
    ends = []
    for strength in (lambda_, 2 * lambda_):
        c = 1 + 2 * strength
        start = torch.zeros(1, dtype=torch.float64)
        run = trajectory_of_sgd(lambda w: ((w - 1) ** 2 / 2).sum(), start, 1 / (2 * c), strength, OPTIMUM_STEPS)
        ends.append(run[-1].item())
        claim = "torch's SGD ends on a quadratic at mu / (mu + 2 lambda) of its optimum"
        checks.expect_error(abs(ends[-1] * c - 1), OPTIMUM_LIMIT, claim, f"lambda {strength:g}")
    return ends


def trajectories_at_the_bound(alpha_scales: dict[str, float] = DRAWN) -> pd.DataFrame:
    """Return the weight over the steps on a quadratic below, at and above the bound, for the figure."""
    curvature, lambda_, plain = 1.0, 0.05, FORMS[0]
    limit = stable_step_size(curvature, lambda_, plain)
    start = torch.ones(1, dtype=torch.float64)
    tables = []
    for name, scale in alpha_scales.items():
        run = trajectory_of_sgd(
            lambda w: (curvature * w**2 / 2).sum(), start, scale * limit, lambda_, DRAWN_STEPS, plain
        )
        weights = [1.0, *run[:, 0].tolist()]
        of_run = {"step": range(len(weights)), "step_size": name, "weight": weights}
        tables.append(pd.DataFrame(of_run | {"mu": curvature, "lambda": lambda_, "beta": plain.beta}))
    return pd.concat(tables)


def refuse_unstable_run(lr: float, weight_decay: float) -> None:
    """Refuse a run whose shrink factor is not positive. Without weight decay it is 1, and nothing shrinks."""
    lambda_ = weight_decay / 2
    if shrink_factor(lr, lambda_) <= 0:
        raise UserError(
            f"finetune.lr is {lr:g}, too large for finetune.weight_decay {weight_decay:g}: each update would "
            f"multiply the weights by {shrink_factor(lr, lambda_):g}; set it below {step_size_limit(lambda_):g}"
        )


def refuse_unstable_example(alpha: float, lambda_: float) -> None:
    """Refuse an example whose shrink factor is not positive."""
    if shrink_factor(alpha, lambda_) <= 0:
        raise UserError(
            f"weight_decay.alpha is {alpha:g}, and 1 / (2 weight_decay.lambda_) is {step_size_limit(lambda_):g}: "
            "set it below that"
        )
