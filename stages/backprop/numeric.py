"""Compare the hand-written gradients with autograd, with central differences and with the complex step."""

import torch

from plumbline.checks.claims import Checks
from stages.backprop import hidden_layer
from stages.backprop.hidden_layer import Activations, random_network

AUTOGRAD_LIMIT = 1e-12  # relative error in float64
COMPLEX_STEP_LIMIT = 1e-12
DIFFERENCE_LIMIT = 1e-6  # of gradcheck's central differences, whose step is 1e-6
COMPLEX_STEP = 1e-30  # no difference is taken, so the step may be as small as that
LARGEST_SIZE = 9  # of the random networks


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
    """Return the same for the derivative im L(x + i s) / s, which no subtraction makes inexact.

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
    """Say whether torch.autograd.gradcheck finds the gradients right, along random directions."""
    leaves = [t.clone().requires_grad_() for t in (X, W1, W2)]
    limits = {"atol": DIFFERENCE_LIMIT, "rtol": DIFFERENCE_LIMIT}
    return torch.autograd.gradcheck(HandWritten.apply, (*leaves, y), **limits, fast_mode=True, raise_exception=False)


def relative_error(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Return the largest difference relative to the largest entry."""
    scale = theirs.abs().max().item()
    return (ours - theirs).abs().max().item() / (scale if scale > 0 else 1)
