"""Problem 3 as the report shows it: from the definitions to the verified numbers, in the homework's numbering."""

from dataclasses import dataclass

from plumbline.checks.derivations import Derivation, Step, Table
from plumbline.params.weight_decay import WeightDecay
from stages.weight_decay.decoupling import ADAM_STEPS
from stages.weight_decay.stable_step_sizes import EXAMPLE_CURVATURE, EXAMPLE_LAMBDA, Bound, stable_step_size
from stages.weight_decay.updates import FORMS, shrink_factor, step_size_limit


@dataclass(frozen=True)
class Found:
    """What the checks found, for the steps that they verified."""

    errors: dict[str, float]  # of the forms of the update, by momentum
    bounds: list[Bound]
    recurrence_errors: dict[str, float]  # by momentum
    optima: list[float]  # where gradient descent ends for lambda and for twice as much
    adam_difference: float


def derive(params: WeightDecay, found: Found) -> Derivation:
    """Return the derivation, with what verified each step."""
    return Derivation(
        "Problem 3: weight decay",
        [
            *the_update(params, found),
            *larger_lambda(params, found),
            *stability_without_momentum(),
            *stability_with_momentum(found),
            *adam(params, found),
        ],
        [bounds_table(found.bounds)],
    )


def the_update(params: WeightDecay, found: Found) -> list[Step]:
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
            f"relative error at most {found.errors['no momentum']:.0e}",
            question="How does gradient descent update the weights?",
        ),
        Step(
            "3 (c)",
            r"w' = (1 - 2 \alpha \lambda)\, w - \alpha \nabla L(w)",
            "The same, with the terms in w collected: each update first multiplies the weights by 1 - 2 alpha lambda, "
            "then takes the step of L.",
            f"for alpha = {params.alpha:g} and lambda = {params.lambda_:g} torch's SGD multiplies a weight by "
            f"{factor:g} where the loss is flat",
            question="Why is it called weight decay?",
        ),
    ]


def larger_lambda(params: WeightDecay, found: Found) -> list[Step]:
    """Return part (d), and what a larger lambda does."""
    limit = step_size_limit(params.lambda_)
    factor, smaller = (shrink_factor(params.alpha, strength * params.lambda_) for strength in (1, 2))
    return [
        Step(
            "3 (d)",
            r"0 < 1 - 2 \alpha \lambda < 1 \quad\Leftrightarrow\quad 0 < \alpha < \frac{1}{2 \lambda}",
            "The factor is below 1, so that it shrinks, and above 0, so that the weights keep their signs.",
            f"for lambda = {params.lambda_:g} the limit 1 / (2 lambda) is {limit:g}: there torch's factor changes sign",
            question="What does a larger lambda do, and which step sizes keep the update stable?",
        ),
        Step(
            "",
            r"\lambda \to 2 \lambda: \quad 1 - 2 \alpha \lambda \to 1 - 4 \alpha \lambda, \quad"
            r" \frac{1}{2 \lambda} \to \frac{1}{4 \lambda}",
            "In the algorithm a larger lambda makes the factor smaller, so that each update shrinks more. It also "
            "lowers the limit of the step size. Here lambda is doubled.",
            f"for alpha = {params.alpha:g} and lambda = {params.lambda_:g} the factor falls from {factor:g} to "
            f"{smaller:g}, the limit from {limit:g} to {limit / 2:g}",
        ),
        Step(
            "",
            r"\mu\,(w - w^*) + 2 \lambda w = 0 \quad\Leftrightarrow\quad w = \frac{\mu}{\mu + 2 \lambda}\, w^*",
            "In the result the weights are smaller: more regularisation, for a network with smaller weights follows "
            "its training data less closely. Where L is a quadratic of curvature mu, its second derivative, with its "
            "minimum at w*, the gradient of (a) is zero at the share mu / (mu + 2 lambda) of w*.",
            f"with mu = 1 and w* = 1 torch's SGD ends at {found.optima[0]:.6g} for lambda = {params.lambda_:g} and at "
            f"{found.optima[1]:.6g} for {2 * params.lambda_:g}",
        ),
    ]


def stability_without_momentum() -> list[Step]:
    """Return the sharp bound without momentum, and two examples for the place of the homework's."""
    limit = step_size_limit(EXAMPLE_LAMBDA)
    bound = stable_step_size(EXAMPLE_CURVATURE, EXAMPLE_LAMBDA, FORMS[0])
    return [
        Step(
            "",
            r"L(w) = \frac{\mu}{2}\, w^2, \quad \nabla Loss = c\, w, \quad c = \mu + 2 \lambda",
            "Stable means that the weights go to the minimum. Near a minimum a loss is nearly a quadratic; mu is its "
            "curvature, and the minimum is put at 0. With many weights the same holds along each eigenvector of the "
            "Hessian, with its eigenvalue for mu, so that the largest decides.",
            question="Is (d) the bound for stability? (Not asked in the homework.)",
        ),
        Step(
            "",
            r"w_{t+1} = w_t - \alpha c\, w_t = (1 - \alpha c)\, w_t \quad\Rightarrow\quad w_t = (1 - \alpha c)^t\, w_0",
            "(b) on this loss, first without momentum. The index t counts the updates, from w_0 on; each multiplies by "
            "the same number.",
        ),
        Step(
            "",
            r"\left|1 - \alpha c\right| < 1 \quad\Leftrightarrow\quad 0 < \alpha < \frac{2}{\mu + 2 \lambda}",
            "The powers go to 0 if and only if the number lies between -1 and 1. This is the sharp bound.",
        ),
        Step(
            "",
            r"\mu = 0: \quad \alpha < \frac{2}{2 \lambda} = \frac{1}{\lambda}",
            "So (d) is not necessary: without curvature the weights go to 0 up to twice the limit of (d). Between the "
            "two they change their signs at each update.",
            f"with lambda = {EXAMPLE_LAMBDA:g} torch's SGD settles at alpha = {1.5 * limit:g}, where the limit of (d) "
            f"is {limit:g}, and diverges at {2.1 * limit:g}",
        ),
        Step(
            "",
            rf"\mu = {EXAMPLE_CURVATURE:g},\; \lambda = {EXAMPLE_LAMBDA:g}: \quad \alpha < "
            rf"\frac{{2}}{{{EXAMPLE_CURVATURE + 2 * EXAMPLE_LAMBDA:g}}} \approx {bound:.4f}, \quad"
            rf" \frac{{1}}{{2 \lambda}} = {limit:g}",
            "Nor is (d) sufficient: with curvature the bound can be far below the limit of (d).",
            f"torch's SGD settles at alpha = {0.97 * bound:.4f} and diverges at {1.03 * bound:.4f}",
        ),
    ]


def stability_with_momentum(found: Found) -> list[Step]:
    """Return the updates with momentum, and the sharp bounds."""
    heavy_ball = [bound for bound in found.bounds if not bound.momentum.nesterov]
    nesterov = [bound for bound in found.bounds if bound.momentum.nesterov]
    return [
        Step(
            "",
            r"v' = \beta v + \nabla L(w) + 2 \lambda w, \quad w' = w - \alpha v'",
            "With heavy-ball momentum the step is the velocity v, which keeps the share beta of its previous value, "
            "0 <= beta < 1. The velocity takes the decay along.",
            f"relative error {found.errors['momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w_{t+1} = w_t - \alpha\,(\beta v_t + c\, w_t), \quad \alpha v_t = w_{t-1} - w_t",
            "On the quadratic. The second equation is the step before, solved for its velocity.",
        ),
        Step(
            "",
            r"w_{t+1} = (1 + \beta - \alpha c)\, w_t - \beta\, w_{t-1}",
            "The second equation put into the first: each weight follows from the two before it.",
            f"relative error {found.recurrence_errors['momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"p(\rho) = \rho^2 - (1 + \beta - \alpha c)\,\rho + \beta = 0",
            "w_t = rho^t solves the recurrence where rho is a root of p, and every solution is a sum of such powers "
            "(with t rho^t for a double root). The two roots are the eigenvalues of the map from (w, previous w) to "
            "(next w, w); the weights go to 0 if and only if both are below 1 in absolute value (Polyak 1964).",
            "the roots equal the eigenvalues of the update, computed from the update itself",
        ),
        Step(
            "",
            r"\rho_1 \rho_2 = \beta < 1, \quad p(1) = \alpha c > 0, \quad p(-1) = 2\,(1 + \beta) - \alpha c",
            "The product of the roots is the last coefficient. Two complex roots are conjugate, so that each has the "
            "absolute value sqrt(beta) < 1. Real roots have the same sign. p(1) is (1 - rho1)(1 - rho2): positive "
            "roots are both below 1, since both above 1 would have a product above 1. In the same way negative roots "
            "are both above -1 if and only if p(-1) > 0.",
            "at the bound one root is -1, and the other has an absolute value below 1",
        ),
        Step(
            "",
            r"p(-1) > 0 \quad\Leftrightarrow\quad \alpha < \frac{2\,(1 + \beta)}{\mu + 2 \lambda}",
            "The sharp bound with heavy-ball momentum; with beta = 0 it is the one above.",
            bisection(heavy_ball),
        ),
        Step(
            "",
            r"w' = w - \alpha\,(\nabla Loss + \beta v'), \quad v' = \beta v + \nabla Loss",
            "Nesterov's momentum as torch has it: the step is the gradient plus beta times the new velocity.",
            f"relative error {found.errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w' = (1 - 2 \alpha \lambda\,(1 + \beta))\, w - \alpha\,((1 + \beta)\, \nabla L(w) + \beta^2 v)",
            "The new velocity put in: the step counts the gradient 1 + beta times, and shrinks as often.",
            f"relative error {found.errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w_t = w_{t-1} - \alpha\,(c\, w_{t-1} + \beta v_t) \quad\Rightarrow\quad"
            r" \alpha \beta v_t = (1 - \alpha c)\, w_{t-1} - w_t",
            "On the quadratic: the step before, solved for its velocity.",
        ),
        Step(
            "",
            r"w_{t+1} = (1 + \beta)(1 - \alpha c)\, w_t - \beta\,(1 - \alpha c)\, w_{t-1}",
            "That put into the update above, with c w for its gradient and its decay together.",
            f"relative error {found.recurrence_errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"p(\rho) = \rho^2 - (1 + \beta)(1 - \alpha c)\,\rho + \beta\,(1 - \alpha c) = 0",
            "Its polynomial, as above.",
            "the roots equal the eigenvalues of the update, computed from the update itself",
        ),
        Step(
            "",
            r"\rho_1 \rho_2 = \beta\,(1 - \alpha c), \quad p(1) = \alpha c > 0, \quad"
            r" p(-1) = 2\,(1 + \beta) - (1 + 2 \beta)\,\alpha c",
            "If the product is negative, p(0) < 0 while p(1) > 0: one root lies between 0 and 1, and if p(-1) > 0 the "
            "other lies between -1 and 0. Otherwise the product is below 1, and the argument is the one above.",
            "at the bound one root is -1, and the other has an absolute value below 1",
        ),
        Step(
            "",
            r"p(-1) > 0 \quad\Leftrightarrow\quad \alpha < \frac{2\,(1 + \beta)}{(1 + 2 \beta)(\mu + 2 \lambda)}",
            "The sharp bound with Nesterov's momentum, 1 + 2 beta times smaller than heavy-ball momentum's.",
            bisection(nesterov),
        ),
    ]


def bisection(bounds: list[Bound]) -> str:
    """Return what verified a formula for these bounds."""
    betas = " and ".join(f"{beta:g}" for beta in sorted({bound.momentum.beta for bound in bounds}))
    worst = max(bound.error for bound in bounds)
    return (
        f"found by bisection on actual runs for {len(bounds)} cases of mu and lambda with beta = {betas}: relative "
        f"error at most {worst:.0e}"
    )


def adam(params: WeightDecay, found: Found) -> list[Step]:
    """Return where the penalty and the shrinking differ."""
    steps = min(params.steps, ADAM_STEPS)
    return [
        Step(
            "",
            r"m' = \beta_1 m + (1 - \beta_1)\, g, \quad s' = \beta_2 s + (1 - \beta_2)\, g^2",
            "Adam keeps two running means for each weight: m of its gradient g, and s of the squared gradient.",
            question="Are the penalty and the shrinking the same for every optimiser? (Not asked in the homework.)",
        ),
        Step(
            "",
            r"\hat{m} = \frac{m'}{1 - \beta_1^t}, \quad \hat{s} = \frac{s'}{1 - \beta_2^t}",
            "Both start at 0; the division by 1 - beta^t corrects that in step t = 1, 2, ...",
        ),
        Step(
            "",
            r"g = \nabla L(w) + 2 \lambda w, \quad w' = w - \alpha\,\frac{\hat{m}}{\sqrt{\hat{s}} + \epsilon}",
            "Adam with the penalty: the penalty's gradient is divided by the root as well, so that weights with large "
            "gradients hardly decay. epsilon is a small number that prevents a division by 0.",
            "written by hand, equal to torch's Adam with weight_decay = 2 lambda",
        ),
        Step(
            "",
            r"g = \nabla L(w), \quad"
            r" w' = (1 - 2 \alpha \lambda)\, w - \alpha\,\frac{\hat{m}}{\sqrt{\hat{s}} + \epsilon}",
            "AdamW shrinks all weights by the same factor, beside the step (Loshchilov and Hutter 2019). For SGD the "
            "two are the same; for Adam they are not.",
            f"written by hand, equal to torch's AdamW; within {steps} steps the weights of Adam and of AdamW differ by "
            f"up to {found.adam_difference:.2g} of the largest weight",
        ),
    ]


def bounds_table(bounds: list[Bound]) -> Table:
    """Return the bounds, by the formula and as found."""
    rows = [
        [
            b.momentum.name,
            b.momentum.beta,
            b.curvature,
            b.lambda_,
            b.formula,
            round(b.found, 9),
            f"{b.error:.0e}",
            step_size_limit(b.lambda_),
        ]
        for b in bounds
    ]
    columns = ["", "beta", "mu", "lambda", "formula", "found by bisection", "relative error", "1 / (2 lambda)"]
    return Table("The largest stable step size", columns, rows)
