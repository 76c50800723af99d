"""Problem 1: backpropagation through one hidden layer, proved and priced.

    Z = X W1             (0.1)      X (n, d), W1 (d, h)
    u = sigma(Z)         (0.2)      u (n, h)
    y_hat = u W2         (0.3)      W2 (h, o)
    L = sum (y_hat - y)^2  (0.4)    y (n, o)

The hand-written gradients are compared with autograd and with finite differences on random networks;
the multiply-adds (MACs) of both passes are compared with torch's count. Writes metrics/backprop.json.
"""

from pathlib import Path
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from plumbline import params
from plumbline.checks import Checks, log10_error
from plumbline.errors import run
from plumbline.outputs import write_json

METRICS = Path("metrics/backprop.json")

AUTOGRAD_LIMIT = 1e-12  # relative error in float64
DIFFERENCE_LIMIT = 1e-6  # of gradcheck's central differences, whose step is 1e-6
LARGEST_SIZE = 9  # of the random networks


class Activations(NamedTuple):
    """What the forward pass keeps for the backward pass."""

    u: torch.Tensor  # (n, h)
    y_hat: torch.Tensor  # (n, o)


class Gradients(NamedTuple):
    """The derivatives of L."""

    dW1: torch.Tensor  # (d, h)
    dW2: torch.Tensor  # (h, o)
    dX: torch.Tensor | None  # (n, d), only if asked for


def forward(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor) -> Activations:
    """Return the activations, equations (0.1) to (0.3)."""
    Z = X @ W1  # (n, h)
    u = sigma(Z)
    return Activations(u, u @ W2)


def sigma(Z: torch.Tensor) -> torch.Tensor:
    """Return the logistic function of each entry; its derivative is sigma(Z) (1 - sigma(Z))."""
    return 1 / (1 + torch.exp(-Z))


def loss(y_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared error, summed over samples and outputs, equation (0.4)."""
    return ((y_hat - y) ** 2).sum()


def backward(
    X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor, kept: Activations, *, input_gradient: bool
) -> Gradients:
    """Return the gradients in the layout of (0.1) to (0.3): (0.5) and (0.6) with their factors in conformable order.

    The print has dW2 transposed, and the factors of dW1 in an order that only fits special shapes.
    """
    dy_hat = 2 * (kept.y_hat - y)  # (n, o)
    dW2 = kept.u.T @ dy_hat  # (h, n) (n, o) = (h, o)
    dZ = (dy_hat @ W2.T) * kept.u * (1 - kept.u)  # (n, o) (o, h) = (n, h)
    dW1 = X.T @ dZ  # (d, n) (n, h) = (d, h)
    dX = dZ @ W1.T if input_gradient else None  # (n, h) (h, d) = (n, d)
    return Gradients(dW1, dW2, dX)


class HandWritten(torch.autograd.Function):
    """The two passes above as one operation, so that torch.autograd.gradcheck can examine them."""

    @staticmethod
    def forward(ctx, X, W1, W2, y):
        kept = forward(X, W1, W2)
        ctx.save_for_backward(X, W1, W2, y, *kept)
        return loss(kept.y_hat, y)

    @staticmethod
    def backward(ctx, upstream):
        X, W1, W2, y, u, y_hat = ctx.saved_tensors
        g = backward(X, W1, W2, y, Activations(u, y_hat), input_gradient=True)
        return upstream * g.dX, upstream * g.dW1, upstream * g.dW2, None


def forward_macs(n: int, d: int, h: int, o: int) -> int:
    """Return the multiply-adds of the forward pass's matrix products: n d h + n h o."""
    return n * (d * h + h * o)


def backward_macs(n: int, d: int, h: int, o: int, *, input_gradient: bool) -> int:
    """Return those of the backward pass: h n o + n o h + d n h, and n h d for the input's gradient.

    Without it the ratio to the forward pass is (d + 2 o) / (d + o), between 1 and 2; with it, exactly 2.
    """
    return n * (d * h + 2 * h * o) + (n * h * d if input_gradient else 0)


def random_network(n: int, d: int, h: int, o: int) -> tuple[torch.Tensor, ...]:
    """Return X, W1, W2 and y in float64, normally distributed."""
    shapes = ((n, d), (d, h), (h, o), (n, o))
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)


def check_gradients(checks: Checks, trials: int) -> float:
    """Compare the gradients with autograd and finite differences; return the largest relative error."""
    worst, agreeing = 0.0, 0
    for _ in range(trials):
        sizes = torch.randint(1, LARGEST_SIZE + 1, (4,)).tolist()
        X, W1, W2, y = random_network(*sizes)
        worst = max(worst, error_to_autograd(X, W1, W2, y))
        leaves = [t.requires_grad_() for t in (X, W1, W2)]
        agreeing += torch.autograd.gradcheck(
            HandWritten.apply, (*leaves, y), atol=DIFFERENCE_LIMIT, rtol=DIFFERENCE_LIMIT, raise_exception=False
        )
    checks.expect_error(worst, AUTOGRAD_LIMIT, f"gradients equal autograd's on {trials} random networks, float64")
    checks.expect_equal(agreeing, trials, "networks whose gradients equal central differences (gradcheck)")
    return worst


def error_to_autograd(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor) -> float:
    """Return the largest error of the three gradients, each relative to its largest entry."""
    ours = backward(X, W1, W2, y, forward(X, W1, W2), input_gradient=True)
    leaves = [t.clone().requires_grad_() for t in (W1, W2, X)]
    W1_, W2_, X_ = leaves
    theirs = torch.autograd.grad(((torch.sigmoid(X_ @ W1_) @ W2_ - y) ** 2).sum(), leaves)
    return max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(ours, theirs, strict=True))


def check_print(checks: Checks) -> None:
    """Say where the printed (0.5) and (0.6) differ from the gradients."""
    X, W1, W2, y = random_network(2, 3, 4, 5)
    kept = forward(X, W1, W2)
    gradients = backward(X, W1, W2, y, kept, input_gradient=False)
    printed_dW2 = 2 * (kept.y_hat - y).T @ kept.u
    checks.expect(
        torch.allclose(printed_dW2, gradients.dW2.T, rtol=AUTOGRAD_LIMIT),
        "(0.5) as printed is the gradient's transpose",
    )
    try:
        2 * (kept.y_hat - y) @ W2 * kept.u * (1 - kept.u) @ X
        conforms = True
    except RuntimeError:
        conforms = False
    checks.expect(not conforms, "(0.6) as printed does not conform for n, d, h, o = 2, 3, 4, 5")


def counted_macs(n: int, d: int, h: int, o: int, *, input_gradient: bool) -> tuple[int, int]:
    """Return the MACs of the forward and the backward pass as torch counts them: two FLOPs each."""
    X, W1, W2, y = random_network(n, d, h, o)
    with FlopCounterMode(display=False) as of_forward:
        kept = forward(X, W1, W2)
    with FlopCounterMode(display=False) as of_backward:
        backward(X, W1, W2, y, kept, input_gradient=input_gradient)
    return of_forward.get_total_flops() // 2, of_backward.get_total_flops() // 2


def check_cost(checks: Checks, n: int, d: int, h: int, o: int) -> dict[str, int | float]:
    """Compare the formulas with torch's count, and judge "roughly 2 times"; return the metrics."""
    ahead = forward_macs(n, d, h, o)
    back = backward_macs(n, d, h, o, input_gradient=False)
    back_with_input = backward_macs(n, d, h, o, input_gradient=True)
    counted, counted_back = counted_macs(n, d, h, o, input_gradient=False)
    _, counted_back_with_input = counted_macs(n, d, h, o, input_gradient=True)
    checks.expect_equal(ahead, counted, "forward MACs, by formula and as torch counts")
    checks.expect_equal(back, counted_back, "backward MACs without the input's gradient")
    checks.expect_equal(back_with_input, counted_back_with_input, "backward MACs with it")
    checks.expect_equal(back_with_input / ahead, 2.0, '"roughly 2 times" with the input\'s gradient')
    checks.expect(1 < back / ahead < 2, f'"roughly 2 times" without it lies between 1 and 2: {back / ahead:.4f}')
    return {
        "forward_macs": ahead,
        "backward_macs": back,
        "backward_over_forward": back / ahead,
        "backward_macs_with_input_gradient": back_with_input,
        "backward_over_forward_with_input_gradient": back_with_input / ahead,
    }


def main() -> None:
    settings = params.load()
    torch.manual_seed(settings.seed)
    own = settings.backprop
    checks = Checks()
    worst = check_gradients(checks, own.trials)
    check_print(checks)
    cost = check_cost(checks, own.samples, own.inputs, own.hidden, own.outputs)
    checks.end()
    write_json(METRICS, cost | {"log10_max_relative_error": log10_error(worst)} | checks.counts())


if __name__ == "__main__":
    run(main)
