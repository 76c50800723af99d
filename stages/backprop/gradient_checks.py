"""Check the hand-written gradients of problem 1: in symbols, against autograd and numerically.

sympy differentiates the loss, and the difference is zero in every entry. autograd, central differences (gradcheck) and
the complex step are compared on random networks.
"""

import numpy as np
import sympy
import torch

from plumbline.checks.claims import Checks
from stages.backprop import hidden_layer
from stages.backprop.hidden_layer import Activations, random_network

SYMBOLIC_SIZES = ((1, 2, 3, 2), (2, 3, 2, 2))  # n, d, h, o
AUTOGRAD_LIMIT = 1e-12  # relative error in float64
COMPLEX_STEP_LIMIT = 1e-12
DIFFERENCE_LIMIT = 1e-6  # of gradcheck's central differences, whose step is 1e-6
COMPLEX_STEP = 1e-30  # may be so small because no difference is taken
LARGEST_SIZE = 9  # of the random networks


def check_symbolically(checks: Checks) -> int:
    """Compare the closed form with sympy's derivative for every entry of X, W1 and W2; return how many."""
    entries = 0
    for sizes in SYMBOLIC_SIZES:
        wrong, total = wrong_entries(*sizes)
        entries += total
        claim = "dW1, dW2 and dX are the derivatives of L in symbols, in every entry"
        checks.expect_equal(total - wrong, total, claim, f"n, d, h, o = {sizes}")
    return entries


def wrong_entries(n: int, d: int, h: int, o: int) -> tuple[int, int]:
    """Return how many entries of the closed form differ from sympy's derivative, and how many there are."""
    X, W1, W2, y = symbols("x", n, d), symbols("w", d, h), symbols("v", h, o), symbols("y", n, o)
    Z = X @ W1
    u = np.vectorize(lambda z: 1 / (1 + sympy.exp(-z)), otypes=[object])(Z)
    y_hat = u @ W2
    L = hidden_layer.loss(y_hat, y)
    gradients = hidden_layer.backward(X, W1, W2, y, Activations(u, y_hat), input_gradient=True)
    in_u = exponentials_as_u(Z)
    differences = [
        sympy.expand((sympy.diff(L, variable) - entry).subs(in_u))
        for gradient, variables in zip(gradients, (W1, W2, X), strict=True)
        for entry, variable in zip(gradient.flat, variables.flat, strict=True)
    ]
    return sum(difference != 0 for difference in differences), len(differences)


def symbols(name: str, rows: int, columns: int) -> np.ndarray:
    """Return a matrix of real symbols."""
    return np.array([[sympy.Symbol(f"{name}{i}{j}", real=True) for j in range(columns)] for i in range(rows)])


def exponentials_as_u(Z: np.ndarray) -> dict[sympy.Expr, sympy.Expr]:
    """Return the substitution that turns the derivatives into polynomials: exp(-z) = 1/u - 1, as u = sigma(z)."""
    substitution = {}
    for (i, j), z in np.ndenumerate(Z):
        u = sympy.Symbol(f"u{i}{j}", positive=True)
        substitution[1 + sympy.exp(-z)] = 1 / u
        substitution[sympy.exp(-z)] = 1 / u - 1
    return substitution


class HandWritten(torch.autograd.Function):
    """The two passes as one operation, so that torch.autograd.gradcheck can examine them."""

    @staticmethod
    def forward(ctx, X, W1, W2, y):
        kept = hidden_layer.forward(X, W1, W2)
        ctx.save_for_backward(X, W1, W2, y, *kept)
        return hidden_layer.loss(kept.y_hat, y)

    @staticmethod
    def backward(ctx, upstream):
        X, W1, W2, y, u, y_hat = ctx.saved_tensors
        g = hidden_layer.backward(X, W1, W2, y, Activations(u, y_hat), input_gradient=True)
        return upstream * g.dX, upstream * g.dW1, upstream * g.dW2, None


def check_gradients(checks: Checks, trials: int) -> dict[str, float]:
    """Examine random networks; return the largest relative errors to autograd and to the complex step."""
    to_autograd, to_complex_step, agreeing = 0.0, 0.0, 0
    for _ in range(trials):
        network = random_network(*torch.randint(1, LARGEST_SIZE + 1, (4,)).tolist())
        to_autograd = max(to_autograd, error_to_autograd(*network))
        to_complex_step = max(to_complex_step, error_to_complex_step(*network))
        agreeing += agrees_with_central_differences(*network)
    claim, where = "of random networks, float64", f"{trials} networks"
    checks.expect_error(to_autograd, AUTOGRAD_LIMIT, f"gradients equal autograd's {claim}", where)
    checks.expect_error(to_complex_step, COMPLEX_STEP_LIMIT, f"gradients equal the complex step's {claim}", where)
    checks.expect_equal(agreeing, trials, "gradients equal central differences on every random network (gradcheck)")
    return {"autograd": to_autograd, "complex_step": to_complex_step}


def error_to_autograd(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor) -> float:
    """Return the largest error of the three gradients, each relative to its largest entry."""
    ours = hidden_layer.backward(X, W1, W2, y, hidden_layer.forward(X, W1, W2), input_gradient=True)
    W1_, W2_, X_ = leaves = [t.clone().requires_grad_() for t in (W1, W2, X)]
    theirs = torch.autograd.grad(((torch.sigmoid(X_ @ W1_) @ W2_ - y) ** 2).sum(), leaves)
    return max(relative_error(a, b) for a, b in zip(ours, theirs, strict=True))


def error_to_complex_step(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor) -> float:
    """Return the largest error relative to the derivative im L(x + i s) / s, which loses no digits to a subtraction.

    Source: Squire and Trapp 1998, "Using complex variables to estimate derivatives of real functions".
    """
    ours = hidden_layer.backward(X, W1, W2, y, hidden_layer.forward(X, W1, W2), input_gradient=True)
    inputs = [t.to(torch.complex128) for t in (W1, W2, X)]
    worst = 0.0
    for k, gradient in enumerate(ours):
        steps = torch.eye(inputs[k].numel(), dtype=torch.complex128).view(-1, *inputs[k].shape)
        W1_, W2_, X_ = (t + 1j * COMPLEX_STEP * steps if i == k else t for i, t in enumerate(inputs))
        losses = ((hidden_layer.forward(X_, W1_, W2_).y_hat - y) ** 2).sum(dim=(-2, -1))  # one for each entry
        worst = max(worst, relative_error(gradient, (losses.imag / COMPLEX_STEP).view_as(gradient)))
    return worst


def agrees_with_central_differences(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether torch.autograd.gradcheck accepts the gradients, along random directions."""
    leaves = [t.clone().requires_grad_() for t in (X, W1, W2)]
    limits = {"atol": DIFFERENCE_LIMIT, "rtol": DIFFERENCE_LIMIT}
    return torch.autograd.gradcheck(HandWritten.apply, (*leaves, y), **limits, fast_mode=True, raise_exception=False)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference relative to the largest entry."""
    scale = theirs.abs().max().item()
    return (ours - theirs).abs().max().item() / (scale if scale > 0 else 1)
