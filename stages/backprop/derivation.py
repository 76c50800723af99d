"""Problem 1 as the report shows it: from the definitions to the verified numbers, in the homework's numbering."""

from plumbline.checks.derivations import Derivation, Step, Table
from stages.backprop.network_cost import LayerPasses
from stages.backprop.printed_equations import OUTCOMES

Metrics = dict[str, int | float]

GRADIENT_OF_Y_HAT = r"\frac{\partial L}{\partial \hat{y}} = 2\,(\hat{y} - y)"


def derive(metrics: Metrics, symbolic_entries: int, trials: int) -> Derivation:
    """Return the derivation, with what verified each step; the caller adds the tables."""
    to_autograd, to_complex_step = (10 ** metrics[f"log10_max_{error}_error"] for error in ("relative", "complex_step"))
    numbers = (
        f"{symbolic_entries} entries equal sympy's derivative exactly; on {trials} random networks the relative "
        f"difference to autograd is at most {to_autograd:.0e}, to the complex step {to_complex_step:.0e}"
    )
    return Derivation(
        "Problem 1: backpropagation through one hidden layer",
        [
            Step("0.1", r"Z = X W_1", "Rows of X are samples: X is (n, d), W1 is (d, h)."),
            Step("0.2", r"u = \sigma(Z) = \frac{1}{1 + e^{-Z}}", "Entry by entry; the derivative is u (1 - u)."),
            Step("0.3", r"\hat{y} = u W_2", "W2 is (h, o)."),
            Step("0.4", r"L = \Sigma\,(\hat{y} - y)^2", "The squared error, summed over samples and outputs."),
            Step("", GRADIENT_OF_Y_HAT, "(0.4) by the chain rule, (n, o)."),
            Step(
                "0.5",
                r"\frac{\partial L}{\partial W_2} = 2\,u^T (\hat{y} - y)",
                "The corrected (0.5), (h, o). As printed, 2 (y_hat - y)^T u, it is the transpose of this.",
                f"{numbers}. As printed it is the gradient for {metrics['equation_05_gradient']} of "
                f"{metrics['equation_shapes']} shapes (h = o = 1) and its transpose for all others",
            ),
            Step(
                "",
                r"\frac{\partial L}{\partial Z} = \frac{\partial L}{\partial \hat{y}} W_2^T \odot u \odot (1 - u)",
                "Back through (0.3), then through (0.2) entry by entry, (n, h).",
            ),
            Step(
                "0.6",
                r"\frac{\partial L}{\partial W_1} = X^T \left(2\,(\hat{y} - y)\, W_2^T \odot u \odot (1 - u)\right)",
                "The corrected (0.6), (d, h). As printed its factors conform only if n = h = o.",
                f"{numbers}. As printed it is the gradient for {metrics['equation_06_gradient']} of "
                f"{metrics['equation_shapes']} shapes (all of them 1), and does not conform for "
                f"{metrics['equation_06_not_conformable']}",
            ),
            Step(
                "",
                r"n\,(d h + h o) \qquad n\,(d h + 2 h o) \qquad 2 n\,(d h + h o)",
                "Multiply-adds of the forward pass, of the backward pass, and of the backward pass with the gradient "
                "of the input, as a layer inside a deeper network needs it.",
                f"{metrics['forward_macs']:,}, {metrics['backward_macs']:,} and "
                f"{metrics['backward_macs_with_input_gradient']:,}: as torch counts, and counted one by one",
            ),
            Step(
                "",
                r"\frac{d + 2 o}{d + o} \in (1, 2)",
                '"Roughly 2 times" is exact with the gradient of the input; without it the ratio lies between 1 and 2.',
                f"{metrics['backward_over_forward']:g} and {metrics['backward_over_forward_with_input_gradient']:g} "
                f"here; {metrics['network_backward_over_forward']:.4f} for the network that is trained",
            ),
        ],
    )


def printed_table(tallies: dict[str, dict[str, int]]) -> Table:
    """Return the number of shapes by printed equation and outcome."""
    rows = [[f"({number})", *(tally[kind] for kind in OUTCOMES)] for number, tally in tallies.items()]
    return Table(
        "For how many shapes n, d, h, o from 1 to 3 the printed equation gives ...", ["as printed", *OUTCOMES], rows
    )


def layer_table(errors: dict[str, float]) -> Table:
    """Return the error of each hand-written backward pass."""
    rows = [[name, f"{error:.0e}"] for name, error in errors.items()]
    return Table("What ResNet34 is made of: hand-written passes against autograd", ["layer", "relative error"], rows)


def network_table(passes: list[LayerPasses]) -> Table:
    """Return what each layer of the trained network costs in both passes."""
    rows = [[each.layer.name, each.forward, each.backward, each.backward / each.forward] for each in passes]
    return Table("Multiply-adds of both passes, layer by layer", ["layer", "forward", "backward", "ratio"], rows)
