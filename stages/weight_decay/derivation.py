"""Problem 3 as the report shows it: from the definitions to the verified numbers, in the homework's numbering."""

from dataclasses import dataclass

from plumbline.checks.derivations import Derivation, Step
from plumbline.params.weight_decay import WeightDecay
from stages.weight_decay.decoupling import ADAM_STEPS, Differences
from stages.weight_decay.stability_derivation import bounds_table, stability_with_momentum, stability_without_momentum
from stages.weight_decay.stable_step_sizes import Bound
from stages.weight_decay.updates import BETA, shrink_factor, step_size_limit


@dataclass(frozen=True)
class CheckResults:
    """What the checks found, for the steps that they verified."""

    errors: dict[str, float]  # of the forms of the update, by momentum
    bounds: list[Bound]
    recurrence_errors: dict[str, float]  # by momentum
    optima: list[float]  # where gradient descent ends for lambda and for twice as much
    differences: Differences  # of the penalty and the shrinking


def derive(params: WeightDecay, results: CheckResults) -> Derivation:
    """Return the derivation, with what verified each step."""
    return Derivation(
        "Problem 3: weight decay",
        [
            *the_update(params, results),
            *larger_lambda(params, results),
            *stability_without_momentum(),
            *stability_with_momentum(results.bounds, results.errors, results.recurrence_errors),
            *decoupled_decay(params, results.differences),
        ],
        [bounds_table(results.bounds)],
    )


def the_update(params: WeightDecay, results: CheckResults) -> list[Step]:
    """Return parts (a) to (c)."""
    factor = shrink_factor(params.alpha, params.lambda_)
    return [
        Step(
            "3 (a)",
            r"Loss = L(w) + \lambda\,\|w\|^2",
            "w holds the weights, L is the loss without decay, and lambda > 0 is the strength of the decay. The second "
            "term is the penalty: lambda times the sum of the squared weights.",
            question="Which loss is minimised with weight decay?",
        ),
        Step(
            "",
            r"\nabla Loss = \nabla L(w) + 2 \lambda w",
            "The derivative of lambda times a squared weight is 2 lambda times the weight.",
        ),
        Step(
            "3 (b)",
            r"w' = w - \alpha\,(\nabla L(w) + 2 \lambda w)",
            "One step of gradient descent on (a): w' is w after the step, alpha > 0 is the step size. torch's SGD adds "
            "weight_decay times w to the gradient, so that its weight_decay is 2 lambda.",
            f"by autograd through (a), against torch's SGD with weight_decay = 2 lambda over {params.steps} steps: "
            f"relative error at most {results.errors['no momentum']:.0e}",
            question="How does gradient descent update the weights?",
        ),
        Step(
            "3 (c)",
            r"w' = (1 - 2 \alpha \lambda)\, w - \alpha \nabla L(w)",
            "(b) with the terms in w collected. Each update first multiplies the weights by 1 - 2 alpha lambda, so "
            "they decay; then it takes the step for L.",
            f"for alpha = {params.alpha:g} and lambda = {params.lambda_:g} torch's SGD multiplies a weight by "
            f"{factor:g} where the loss is flat",
            question="Why is it called weight decay?",
        ),
    ]


def larger_lambda(params: WeightDecay, results: CheckResults) -> list[Step]:
    """Return part (d), and what a larger lambda does."""
    limit = step_size_limit(params.lambda_)
    factor, smaller = (shrink_factor(params.alpha, strength * params.lambda_) for strength in (1, 2))
    return [
        Step(
            "3 (d)",
            r"0 < 1 - 2 \alpha \lambda < 1 \quad\Leftrightarrow\quad 0 < \alpha < \frac{1}{2 \lambda}",
            "The factor has to be below 1 to shrink the weights, and above 0 to keep their signs.",
            f"for lambda = {params.lambda_:g} the limit 1 / (2 lambda) is {limit:g}: there torch's factor changes sign",
            question="What does a larger lambda do, and which step sizes keep the update stable?",
        ),
        Step(
            "",
            r"\lambda \to 2 \lambda: \quad 1 - 2 \alpha \lambda \to 1 - 4 \alpha \lambda, \quad"
            r" \frac{1}{2 \lambda} \to \frac{1}{4 \lambda}",
            "The effect of a larger lambda on the algorithm, here of twice the lambda: the factor is smaller, so each "
            "update shrinks the weights more; and the limit of the step size is lower.",
            f"for alpha = {params.alpha:g} and lambda = {params.lambda_:g} the factor falls from {factor:g} to "
            f"{smaller:g}, the limit from {limit:g} to {limit / 2:g}",
        ),
        Step(
            "",
            r"\mu\,(w - w^*) + 2 \lambda w = 0 \quad\Leftrightarrow\quad w = \frac{\mu}{\mu + 2 \lambda}\, w^*",
            "The effect on the result: the weights are smaller. This is regularisation: a network with smaller weights "
            "follows its training data less closely. Example: L is a quadratic with the second derivative mu, its "
            "curvature, and its minimum at w*. The gradient of (a) is then zero at mu / (mu + 2 lambda) times w*.",
            f"with mu = 1 and w* = 1 torch's SGD ends at {results.optima[0]:.6g} for lambda = {params.lambda_:g} and "
            f"at {results.optima[1]:.6g} for {2 * params.lambda_:g}",
        ),
    ]


def decoupled_decay(params: WeightDecay, differences: Differences) -> list[Step]:
    """Return where the penalty and the shrinking differ."""
    steps = min(params.steps, ADAM_STEPS)
    return [
        Step(
            "",
            r"v' = \beta v + \nabla L(w), \quad w' = (1 - 2 \alpha \lambda)\, w - \alpha v'",
            "For SGD without momentum they are, (b) and (c). With momentum this update, SGDW (Loshchilov and Hutter "
            "2019), shrinks the weights once. The penalty's gradient 2 lambda w would enter the velocity v, and later "
            "steps would repeat it.",
            f"in torch's SGD with beta = {BETA:g} the weights of the two differ by up to {differences.momentum:.2g} of "
            f"the largest weight; with Nesterov's momentum by up to {differences.nesterov:.2g}",
            question="Are the penalty and the shrinking the same for every optimiser? (Not asked in the homework.)",
        ),
        Step(
            "",
            r"m' = \beta_1 m + (1 - \beta_1)\, g, \quad s' = \beta_2 s + (1 - \beta_2)\, g^2",
            "Adam keeps two running means for each weight: m of its gradient g, and s of the squared gradient. All "
            "operations are entry by entry; beta1 and beta2 are below 1.",
        ),
        Step(
            "",
            r"\hat{m} = \frac{m'}{1 - \beta_1^t}, \quad \hat{s} = \frac{s'}{1 - \beta_2^t}",
            "Both means start at 0, so they are too small at first. In step t = 1, 2, ... the weights of the gradients "
            "in m' add up to 1 - beta1^t; the division corrects that.",
        ),
        Step(
            "",
            r"g = \nabla L(w) + 2 \lambda w, \quad w' = w - \alpha\,\frac{\hat{m}}{\sqrt{\hat{s}} + \epsilon}",
            "Adam with the penalty: the penalty's gradient is divided by the root too, so weights with large gradients "
            "hardly decay. The small number epsilon prevents a division by 0.",
            "written by hand, equal to torch's Adam with weight_decay = 2 lambda",
        ),
        Step(
            "",
            r"g = \nabla L(w), \quad"
            r" w' = (1 - 2 \alpha \lambda)\, w - \alpha\,\frac{\hat{m}}{\sqrt{\hat{s}} + \epsilon}",
            "AdamW shrinks all weights by the same factor, apart from the step (Loshchilov and Hutter 2019).",
            f"written by hand, equal to torch's AdamW with weight_decay = 2 lambda; within {steps} steps the weights "
            f"of Adam and of AdamW differ by up to {differences.adam:.2g} of the largest weight",
        ),
    ]
