"""Problem 3, the largest stable step sizes: derived from the recurrence, without momentum and with both kinds of it."""

from plumbline.checks.derivations import Step, Table
from stages.weight_decay.stable_step_sizes import EXAMPLE_CURVATURE, EXAMPLE_LAMBDA, Bound, stable_step_size
from stages.weight_decay.updates import FORMS, step_size_limit


def stability_without_momentum() -> list[Step]:
    """Return the sharp bound without momentum, and two examples for the place of the homework's."""
    limit = step_size_limit(EXAMPLE_LAMBDA)
    bound = stable_step_size(EXAMPLE_CURVATURE, EXAMPLE_LAMBDA, FORMS[0])
    return [
        Step(
            "",
            r"L(w) = \frac{\mu}{2}\, w^2, \quad \nabla Loss = c\, w, \quad c = \mu + 2 \lambda",
            "Stable means that the weights converge to the minimum. Near a minimum a loss is nearly a quadratic; mu >= "
            "0 is its curvature, and the minimum is taken to be 0. So c > 0. With many weights the same holds along "
            "each eigenvector of the Hessian, the matrix of second derivatives, with the eigenvalue as mu. The largest "
            "eigenvalue gives the smallest bound.",
            question="Is (d) the bound for stability? (Not asked in the homework.)",
        ),
        Step(
            "",
            r"w_{t+1} = w_t - \alpha c\, w_t = (1 - \alpha c)\, w_t \quad\Rightarrow\quad w_t = (1 - \alpha c)^t\, w_0",
            "(b) for this loss, first without momentum. The index t counts the updates; w_0 is the start. Each update "
            "multiplies by the same number.",
        ),
        Step(
            "",
            r"\left|1 - \alpha c\right| < 1 \quad\Leftrightarrow\quad 0 < \alpha < \frac{2}{\mu + 2 \lambda}",
            "The powers converge to 0 if and only if the number lies between -1 and 1. So this bound is sharp: at and "
            "above it the weights do not converge.",
        ),
        Step(
            "",
            r"\mu = 0: \quad \alpha < \frac{2}{2 \lambda} = \frac{1}{\lambda}",
            "So (d) is not necessary: without curvature the weights converge up to twice the limit of (d). Between the "
            "two limits they change their signs at each update.",
            f"with lambda = {EXAMPLE_LAMBDA:g} torch's SGD settles at alpha = {1.5 * limit:g}, where the limit of (d) "
            f"is {limit:g}, and diverges at {2.1 * limit:g}",
        ),
        Step(
            "",
            rf"\mu = {EXAMPLE_CURVATURE:g},\; \lambda = {EXAMPLE_LAMBDA:g}: \quad \alpha < "
            rf"\frac{{2}}{{{EXAMPLE_CURVATURE + 2 * EXAMPLE_LAMBDA:g}}} \approx {bound:.4f}, \quad"
            rf" \frac{{1}}{{2 \lambda}} = {limit:g}",
            "(d) is not sufficient either: with curvature the bound can be far below the limit of (d).",
            f"torch's SGD settles at alpha = {0.97 * bound:.4f} and diverges at {1.03 * bound:.4f}",
        ),
    ]


def stability_with_momentum(
    bounds: list[Bound], errors: dict[str, float], recurrence_errors: dict[str, float]
) -> list[Step]:
    """Return the updates with momentum, and the sharp bounds."""
    heavy_ball = [bound for bound in bounds if not bound.momentum.nesterov]
    nesterov = [bound for bound in bounds if bound.momentum.nesterov]
    return [
        Step(
            "",
            r"v' = \beta v + \nabla L(w) + 2 \lambda w, \quad w' = w - \alpha v'",
            "With heavy-ball momentum the step is along the velocity v, which keeps beta times its previous value, "
            "0 <= beta < 1. The gradient of the penalty is part of the velocity.",
            f"relative error {errors['momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w_{t+1} = w_t - \alpha\,(\beta v_t + c\, w_t), \quad \alpha v_t = w_{t-1} - w_t",
            "The update for the quadratic. The second equation is the step before it, w_t = w_(t-1) - alpha v_t, "
            "solved for the velocity.",
        ),
        Step(
            "",
            r"w_{t+1} = (1 + \beta - \alpha c)\, w_t - \beta\, w_{t-1}",
            "The second equation inserted into the first: each weight follows from the two before it.",
            f"relative error {recurrence_errors['momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"p(\rho) = \rho^2 - (1 + \beta - \alpha c)\,\rho + \beta = 0",
            "w_t = rho^t solves the recurrence if rho is a root of p: insert it, and divide by rho^(t-1). Every "
            "solution is a combination of the powers of the two roots (with t rho^t for a double root). So the weights "
            "converge to 0 from every start if and only if both roots are below 1 in absolute value (Polyak 1964). The "
            "roots are also the eigenvalues of the linear map from (w, previous w) to (next w, w).",
            "the roots equal the eigenvalues of the update, computed from the update itself",
        ),
        Step(
            "",
            r"\rho_1 \rho_2 = \beta < 1, \quad p(1) = \alpha c > 0, \quad p(-1) = 2\,(1 + \beta) - \alpha c",
            "The product of the roots is the last coefficient. Two complex roots are conjugate, so each has the "
            "absolute value sqrt(beta) < 1; p has then no real zero, and p(-1) > 0. Real roots do not differ in sign. "
            "p(1) = (1 - rho1)(1 - rho2) > 0, so both are below 1, or both above; both above is impossible, because "
            "their product is below 1. In the same way, from p(-1) = (1 + rho1)(1 + rho2), both are above -1 if and "
            "only if p(-1) > 0.",
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
            "Nesterov's momentum as torch has it: the step is along the gradient of (a) plus beta times the new "
            "velocity.",
            f"relative error {errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w' = (1 - 2 \alpha \lambda\,(1 + \beta))\, w - \alpha\,((1 + \beta)\, \nabla L(w) + \beta^2 v)",
            "v' inserted into the step. Both the gradient of L and the shrinking count 1 + beta times.",
            f"relative error {errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"w_t = w_{t-1} - \alpha\,(c\, w_{t-1} + \beta v_t) \quad\Rightarrow\quad"
            r" \alpha \beta v_t = (1 - \alpha c)\, w_{t-1} - w_t",
            "The step before, for the quadratic, solved for the velocity.",
        ),
        Step(
            "",
            r"w_{t+1} = (1 + \beta)(1 - \alpha c)\, w_t - \beta\,(1 - \alpha c)\, w_{t-1}",
            "This inserted into the update above, with c w for the gradient of (a).",
            f"relative error {recurrence_errors['Nesterov momentum']:.0e} against torch's SGD",
        ),
        Step(
            "",
            r"p(\rho) = \rho^2 - (1 + \beta)(1 - \alpha c)\,\rho + \beta\,(1 - \alpha c) = 0",
            "The polynomial of this recurrence, found as above.",
            "the roots equal the eigenvalues of the update, computed from the update itself",
        ),
        Step(
            "",
            r"\rho_1 \rho_2 = \beta\,(1 - \alpha c), \quad p(1) = \alpha c > 0, \quad"
            r" p(-1) = 2\,(1 + \beta) - (1 + 2 \beta)\,\alpha c",
            "If the product is negative, p(0) < 0 and p(1) > 0: one root lies between 0 and 1. The other is negative, "
            "and it is above -1 if and only if p(-1) > 0. If the product is not negative it is below 1, because alpha "
            "c > 0, and the argument above applies.",
            "at the bound one root is -1, and the other has an absolute value below 1",
        ),
        Step(
            "",
            r"p(-1) > 0 \quad\Leftrightarrow\quad \alpha < \frac{2\,(1 + \beta)}{(1 + 2 \beta)(\mu + 2 \lambda)}",
            "The sharp bound with Nesterov's momentum, 1 + 2 beta times smaller than that with heavy-ball momentum.",
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


def bounds_table(bounds: list[Bound]) -> Table:
    """Return the bounds, by the formula and as found."""
    rows = [
        [
            b.momentum.name,
            b.momentum.beta,
            b.curvature,
            b.lambda_,
            b.formula,
            round(b.measured, 9),
            f"{b.error:.0e}",
            step_size_limit(b.lambda_),
        ]
        for b in bounds
    ]
    columns = ["", "beta", "mu", "lambda", "formula", "found by bisection", "relative error", "1 / (2 lambda)"]
    return Table("The largest stable step size", columns, rows)
