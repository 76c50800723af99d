"""Problem 3 as the report shows it: from the definitions to the verified numbers, in the homework's numbering."""

from plumbline.checks.derivations import Derivation, Step, Table
from plumbline.params.weight_decay import WeightDecay
from stages.weight_decay.bounds import Bound
from stages.weight_decay.decoupling import ADAM_STEPS
from stages.weight_decay.updates import shrink_factor, step_size_limit


def derive(params: WeightDecay, errors: dict[str, float], bounds: list[Bound], adam_difference: float) -> Derivation:
    """Return the derivation, with what verified each step."""
    factor, limit = shrink_factor(params.alpha, params.lambda_), step_size_limit(params.lambda_)
    adam_steps = min(params.steps, ADAM_STEPS)
    worst = max(bound.error for bound in bounds)
    return Derivation(
        "Problem 3: weight decay",
        [
            Step("3 (a)", r"Loss = L(w) + \lambda\,\|w\|^2", "The penalty in the loss."),
            Step(
                "3 (b)",
                r"w' = w - \alpha\,(\nabla L(w) + 2 \lambda w)",
                "One step of gradient descent on (a), the step size being alpha.",
                f"by autograd through (a), against torch's SGD with weight_decay = 2 lambda over {params.steps} steps: "
                f"relative error at most {max(errors.values()):.0e}, with momentum and Nesterov's too",
            ),
            Step(
                "3 (c)",
                r"w' = (1 - 2 \alpha \lambda)\, w - \alpha \nabla L(w)",
                "The same, sorted by w: each update first shrinks the weights.",
                f"for alpha = {params.alpha:g} and lambda = {params.lambda_:g} torch's SGD shrinks by {factor:g}",
            ),
            Step(
                "3 (d)",
                r"0 < 1 - 2 \alpha \lambda < 1 \quad\Leftrightarrow\quad 0 < \alpha < \frac{1}{2 \lambda}",
                "For the factor to shrink and keep the sign. Larger lambda: more regularisation, smaller weights.",
                f"1 / (2 lambda) = {limit:g}: torch's factor changes its sign there",
            ),
            Step(
                "",
                r"v' = \beta v + \nabla L(w) + 2 \lambda w, \quad w' = w - \alpha v'",
                "With momentum the velocity takes the decay along.",
                f"relative error {errors['momentum']:.0e} against torch's SGD",
            ),
            Step(
                "",
                r"w' = (1 - 2 \alpha \lambda (1 + \beta))\, w - \alpha\,((1 + \beta) \nabla L(w) + \beta^2 v)",
                "Nesterov's step counts the gradient 1 + beta times, and shrinks as often.",
                f"relative error {errors['Nesterov momentum']:.0e} against torch's SGD",
            ),
            Step(
                "",
                r"\rho^2 - (1 + \beta - \alpha c)\,\rho + \beta = 0, \quad c = \mu + 2 \lambda",
                "On a loss of curvature mu an update multiplies by the roots rho of this polynomial (Polyak 1964).",
            ),
            Step(
                "",
                r"\alpha < \frac{2\,(1 + \beta)}{\mu + 2 \lambda}",
                "A root reaches -1 where alpha c = 2 (1 + beta): the sharp bound, 2 / (mu + 2 lambda) without "
                "momentum. The bound of (d) is neither necessary for stability nor, with curvature, sufficient.",
                f"found by bisection on actual runs for {len(bounds)} cases: relative error at most {worst:.0e}",
            ),
            Step(
                "",
                r"w' = w - \alpha\,\frac{\hat{m}}{\sqrt{\hat{v}} + \epsilon}",
                "Adam divides the penalty's gradient by the root of its second moment; AdamW shrinks beside the step "
                "(Loshchilov and Hutter 2019). For SGD the two are one.",
                f"within {adam_steps} steps Adam and AdamW part by {adam_difference:.2g} of the size",
            ),
        ],
        [bounds_table(bounds)],
    )


def bounds_table(bounds: list[Bound]) -> Table:
    """Return the bounds, by the formula and as found."""
    rows = [
        [
            b.momentum.name,
            b.curvature,
            b.lambda_,
            b.formula,
            round(b.found, 9),
            f"{b.error:.0e}",
            step_size_limit(b.lambda_),
        ]
        for b in bounds
    ]
    columns = ["", "mu", "lambda", "formula", "found by bisection", "relative error", "1 / (2 lambda)"]
    return Table("The largest stable step size", columns, rows)
