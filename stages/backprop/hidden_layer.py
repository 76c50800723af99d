"""Problem 1's network and both of its passes, in the homework's symbols.

Z = X W1             (0.1)      X (n, d), W1 (d, h)
u = sigma(Z)         (0.2)      u (n, h)
y_hat = u W2         (0.3)      W2 (h, o)
L = sum (y_hat - y)^2  (0.4)    y (n, o)
"""

from typing import NamedTuple

import torch
from torch import fx


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


fx.wrap("sigma")  # one operation in the traced graph, as it is in the homework's


def loss(y_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared error, summed over samples and outputs, equation (0.4)."""
    return ((y_hat - y) ** 2).sum()


def backward(
    X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor, kept: Activations, *, input_gradient: bool
) -> Gradients:
    """Return the gradients in the layout of (0.1) to (0.3): (0.5) and (0.6) with their factors in conformable order.

    As printed, dW2 is transposed, and the factors of dW1 conform only for special shapes. The arguments are any arrays
    with `@`, `*` and `.T`: torch's tensors, or NumPy's arrays of symbols or of `cost.Counted`.
    """
    dy_hat = 2 * (kept.y_hat - y)  # (n, o)
    dW2 = kept.u.T @ dy_hat  # (h, n) (n, o) = (h, o)
    dZ = (dy_hat @ W2.T) * kept.u * (1 - kept.u)  # (n, o) (o, h) = (n, h)
    dW1 = X.T @ dZ  # (d, n) (n, h) = (d, h)
    dX = dZ @ W1.T if input_gradient else None  # (n, h) (h, d) = (n, d)
    return Gradients(dW1, dW2, dX)


def random_network(n: int, d: int, h: int, o: int) -> tuple[torch.Tensor, ...]:
    """Return X, W1, W2 and y in float64, normally distributed."""
    shapes = ((n, d), (d, h), (h, o), (n, o))
    return tuple(torch.randn(shape, dtype=torch.float64) for shape in shapes)
