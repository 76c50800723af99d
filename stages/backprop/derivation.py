"""Problem 1 as the report shows it: from the definitions to the verified numbers, in the homework's numbering."""

from plumbline.checks.derivations import Derivation, Step, Table
from plumbline.params.backprop import Backprop
from stages.backprop.cost import MANY_INPUTS
from stages.backprop.network_cost import CLASSES, HOMEWORKS_CLASSES, LayerPasses
from stages.backprop.printed_equations import OUTCOMES

Metrics = dict[str, int | float]


def derive(
    metrics: Metrics, errors: dict[str, float], symbolic_entries: int, params: Backprop, architecture: str
) -> Derivation:
    """Return the derivation, with what verified each step; the caller adds the tables.

    `errors` are those of the gradients by indices, relative to autograd's.
    """
    to_autograd, to_complex_step = (10 ** metrics[f"log10_max_{error}_error"] for error in ("relative", "complex_step"))
    numbers = (
        f"{symbolic_entries} entries of the three gradients equal sympy's derivatives exactly; on {params.trials} "
        f"random networks the relative difference to autograd is at most {to_autograd:.0e}, to the complex step "
        f"{to_complex_step:.0e}"
    )
    return Derivation(
        "Problem 1: backpropagation through one hidden layer",
        [
            *forward_pass(errors),
            *second_layer(metrics, errors, numbers),
            *first_layer(metrics, errors, numbers),
            *cost(metrics, params, architecture),
            *memory(),
        ],
    )


def by_indices(errors: dict[str, float], name: str) -> str:
    """Return what verified a gradient by indices."""
    return f"computed entry by entry: relative difference to autograd's gradient at most {errors[name]:.0e}"


def forward_pass(errors: dict[str, float]) -> list[Step]:
    """Return the definitions, and the gradient of the output."""
    return [
        Step(
            "0.1",
            r"Z = X W_1",
            "X (n, d) holds n samples of d inputs, one sample a row; W1 (d, h) the weights of h hidden units; Z is "
            "(n, h). The question writes W2 sigma(W1 x) for one sample x, a column; the solution has samples as rows, "
            "as here, so that each weight matrix is the transpose of the question's.",
            question="Draw the computational graph of a network with one hidden layer, and derive its forward pass.",
        ),
        Step(
            "0.2",
            r"u = \sigma(Z), \quad \sigma(z) = \frac{1}{1 + e^{-z}}",
            "The sigmoid of each entry, (n, h).",
        ),
        Step("0.3", r"\hat{y} = u W_2", "W2 (h, o) holds the weights of o outputs; y_hat is (n, o)."),
        Step(
            "0.4",
            r"L = \sum_i \sum_k (\hat{y}_{ik} - y_{ik})^2",
            "The squared error, summed over the samples i and the outputs k; y (n, o) holds the targets. The figure "
            "below is the graph.",
        ),
        Step(
            "",
            r"\frac{\partial L}{\partial \hat{y}_{ik}} = 2\,(\hat{y}_{ik} - y_{ik}), \quad"
            r" \frac{\partial L}{\partial \hat{y}} = 2\,(\hat{y} - y)",
            "(0.4) by the power rule, entry by entry: an entry of y_hat occurs in one term of the sum. Without "
            "indices: the matrix (n, o) of all entries.",
            by_indices(errors, "y_hat"),
            question="Derive the backward pass: the derivative of L by each value, from the last to the first.",
        ),
    ]


def second_layer(metrics: Metrics, errors: dict[str, float], numbers: str) -> list[Step]:
    """Return the steps from the output to (0.5)."""
    return [
        Step(
            "",
            r"\hat{y}_{ik} = \sum_j u_{ij}\, (W_2)_{jk}",
            "(0.3) by indices: i counts samples, j hidden units, k outputs.",
        ),
        Step(
            "",
            r"\frac{\partial \hat{y}_{ik}}{\partial (W_2)_{jk}} = u_{ij}",
            "The weight from hidden unit j to output k occurs in one term of this sum, with the factor u_ij, and in no "
            "other output.",
        ),
        Step(
            "",
            r"\frac{\partial L}{\partial (W_2)_{jk}} = \sum_i \frac{\partial L}{\partial \hat{y}_{ik}}\, u_{ij}",
            "The chain rule: L depends on the weight through output k of every sample i.",
            by_indices(errors, "W2"),
        ),
        Step(
            "0.5",
            r"\frac{\partial L}{\partial W_2} = u^T \frac{\partial L}{\partial \hat{y}} = 2\,u^T (\hat{y} - y)",
            "That sum is row j of u^T times column k of dL/dy_hat. It is a matrix product: (h, n) times (n, o) gives "
            "(h, o). The homework prints 2 (y_hat - y)^T u, which is (o, h), the transpose: this is the numerator "
            "layout. The update subtracts the gradient from W2 and needs the shape of W2.",
            f"{numbers}. The printed equation gives the gradient for {metrics['equation_05_gradient']} of "
            f"the {metrics['equation_shapes']} shapes n, d, h, o from 1 to 3 (those with h = o = 1), and its transpose "
            "for all others",
        ),
    ]


def first_layer(metrics: Metrics, errors: dict[str, float], numbers: str) -> list[Step]:
    """Return the steps from the hidden layer to (0.6), and to the gradient of the input."""
    return [
        Step(
            "",
            r"\frac{\partial L}{\partial u_{ij}} = \sum_k \frac{\partial L}{\partial \hat{y}_{ik}}\, (W_2)_{jk},"
            r" \quad \frac{\partial L}{\partial u} = \frac{\partial L}{\partial \hat{y}}\, W_2^T",
            "u_ij takes part in every output k of its own sample, with the factor (W2)_jk. As a matrix product: (n, o) "
            "times (o, h) gives (n, h).",
            by_indices(errors, "u"),
        ),
        Step(
            "",
            r"\sigma'(z) = \frac{e^{-z}}{(1 + e^{-z})^2} = \frac{1}{1 + e^{-z}} \cdot \frac{e^{-z}}{1 + e^{-z}}"
            r" = u\,(1 - u)",
            "The derivative of (0.2) by the quotient rule. The first factor is u. The second is 1 - u, because "
            "the two add up to 1.",
            "sympy's derivative, exactly",
        ),
        Step(
            "",
            r"\frac{\partial L}{\partial Z} = \frac{\partial L}{\partial u} \odot u \odot (1 - u)",
            "Each entry of Z acts on its own entry of u alone, so the factors multiply entry by entry: the circled "
            "dot. The shape is (n, h).",
            by_indices(errors, "Z"),
        ),
        Step(
            "",
            r"Z_{ij} = \sum_a X_{ia}\, (W_1)_{aj} \quad\Rightarrow\quad"
            r" \frac{\partial L}{\partial (W_1)_{aj}} = \sum_i X_{ia}\, \frac{\partial L}{\partial Z_{ij}}",
            "(0.1) by indices, where the index a counts the inputs. The derivation is that of W2, with X for u and Z "
            "for y_hat.",
            by_indices(errors, "W1"),
        ),
        Step(
            "0.6",
            r"\frac{\partial L}{\partial W_1} = X^T \frac{\partial L}{\partial Z}"
            r" = X^T \left(2\,(\hat{y} - y)\, W_2^T \odot u \odot (1 - u)\right)",
            "The sum as a matrix product: (d, n) times (n, h) gives (d, h), the shape of W1. Then dL/dZ is replaced by "
            "the steps above. The homework prints 2 (y_hat - y) W2 sigma(Z) (1 - sigma(Z)) X: the same factors in "
            "another order, whose shapes fit only if n = h = o.",
            f"{numbers}. The printed equation gives the gradient for {metrics['equation_06_gradient']} of "
            f"the {metrics['equation_shapes']} shapes n, d, h, o from 1 to 3 (all of them 1), and its factors do not "
            f"fit for {metrics['equation_06_not_conformable']}",
        ),
        Step(
            "",
            r"\frac{\partial L}{\partial X_{ia}} = \sum_j \frac{\partial L}{\partial Z_{ij}}\, (W_1)_{aj},"
            r" \quad \frac{\partial L}{\partial X} = \frac{\partial L}{\partial Z}\, W_1^T",
            "The derivation is that of u, with Z for y_hat and W1 for W2: (n, h) times (h, d) gives (n, d). It is "
            "needed only if another layer computes X, as in a deeper network.",
            by_indices(errors, "X"),
        ),
    ]


def cost(metrics: Metrics, params: Backprop, architecture: str) -> list[Step]:
    """Return the multiply-adds of both passes, product by product, and their ratio."""
    _, inputs, _, outputs = MANY_INPUTS
    n, d, h, o = params.samples, params.inputs, params.hidden, params.outputs
    both_counts = f"with n, d, h, o = {n}, {d}, {h}, {o}, as torch counts; for a small network also counted one by one"
    return [
        Step(
            "",
            r"(a, b)\,(b, c) \to (a, c): \quad a\,b\,c",
            "The product of an (a, b) and a (b, c) matrix has a times c entries. Each is a sum of b products. That is "
            "a b c multiply-adds: one multiplication and one addition each.",
            question="Which pass costs more, and by roughly how much?",
        ),
        Step(
            "",
            r"X W_1: \; n d h, \qquad u W_2: \; n h o",
            "The forward pass has two products: n d h + n h o multiply-adds.",
            f"{metrics['forward_macs']:,} {both_counts}",
        ),
        Step(
            "",
            r"u^T \frac{\partial L}{\partial \hat{y}}: \; n h o, \qquad"
            r" \frac{\partial L}{\partial \hat{y}} W_2^T: \; n h o, \qquad"
            r" X^T \frac{\partial L}{\partial Z}: \; n d h",
            "The backward pass has three, for W2, u and W1: n d h + 2 n h o.",
            f"{metrics['backward_macs']:,} {both_counts}",
        ),
        Step(
            "",
            r"\frac{\partial L}{\partial Z} W_1^T: \; n d h",
            "The gradient of the input is a fourth: 2 (n d h + n h o) in all.",
            f"{metrics['backward_macs_with_input_gradient']:,} {both_counts}",
        ),
        Step(
            "",
            r"n o + 2\, n h \; \ll \; n d h + 2\, n h o",
            "In wide layers the multiplications entry by entry are neglected. In the backward pass these are n o "
            "multiplications by 2, for y_hat, and n h each by u and by 1 - u, for Z. Their number grows with one "
            "width, that of the matrix products with the product of two widths. For the same reason additions entry by "
            "entry and sigmoids are neglected.",
            "for a small network counted one by one",
        ),
        Step(
            "",
            r"\frac{n d h + 2\, n h o}{n d h + n h o} = \frac{d + 2 o}{d + o} = 1 + \frac{o}{d + o}",
            "The backward pass over the forward pass, without the gradient of the input: n and h cancel. The last "
            "fraction lies between 0 and 1, so the ratio lies between 1 and 2.",
            f"{metrics['backward_over_forward']:g} with d = {d} and o = {o}",
        ),
        Step(
            "",
            rf"d = {inputs},\; o = {outputs}: \quad 1 + \frac{{{outputs}}}{{{inputs + outputs}}}"
            rf" \approx {1 + outputs / (inputs + outputs):.4f}",
            'For a network on 28 x 28 pixels with ten classes both passes cost nearly the same: "roughly 2 times" '
            "misleads.",
            "as torch counts",
        ),
        Step(
            "",
            r"\frac{2\,(n d h + n h o)}{n d h + n h o} = 2",
            "With the gradient of the input the ratio is exactly 2. In a deep network all layers but the first need "
            "it, so the ratio of the whole network is close to 2.",
            f"{metrics['backward_over_forward_with_input_gradient']:g} here; for {architecture} "
            f"{metrics['network_backward_over_forward']:.4f} as published, with {CLASSES:,} outputs, and "
            f"{metrics['network_backward_over_forward_of_two_outputs']:.4f} with a head of {HOMEWORKS_CLASSES} outputs",
        ),
    ]


def memory() -> list[Step]:
    """Return what the backward pass needs of the forward pass."""
    return [
        Step(
            "",
            r"X,\; u,\; \hat{y} - y: \quad n\,(d + h + o)",
            "So many numbers the forward pass keeps for the backward pass, in addition to the weights: X for the "
            "gradient of W1, u for that of W2 and for the derivative of the sigmoid, and y_hat - y. Z is not needed, "
            "because the derivative of the sigmoid is u (1 - u).",
            "as many as torch saves",
            question="What must be kept in memory? (Not asked in the homework.)",
        )
    ]


def printed_table(tallies: dict[str, dict[str, int]]) -> Table:
    """Return the number of shapes by printed equation and outcome."""
    rows = [[f"({number})", *(tally[kind] for kind in OUTCOMES)] for number, tally in tallies.items()]
    return Table(
        "The printed equations: for how many shapes n, d, h, o from 1 to 3 they give ...",
        ["as printed", *OUTCOMES],
        rows,
    )


def layer_table(errors: dict[str, float]) -> Table:
    """Return the error of each hand-written backward pass."""
    rows = [[name, f"{error:.0e}"] for name, error in errors.items()]
    return Table(
        "The layers of a ResNet: hand-written backward passes compared with autograd", ["layer", "relative error"], rows
    )


def network_table(passes: list[LayerPasses]) -> Table:
    """Return what each layer of the network costs in both passes."""
    rows = [[each.layer.name, each.forward, each.backward, each.backward / each.forward] for each in passes]
    return Table(
        f"Multiply-adds of both passes as published, with {CLASSES:,} outputs, layer by layer",
        ["layer", "forward", "backward", "ratio"],
        rows,
    )
