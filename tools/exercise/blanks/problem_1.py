"""Problem 1: backpropagation through one hidden layer, one sample a row.

    Z = X W1,    u = sigma(Z),    y_hat = u W2,    L = the sum over all entries of (y_hat - y)^2

X is (n, d), W1 (d, h), W2 (h, o), y (n, o). Write each function without autograd: products, sums and torch's functions
of single entries are all it takes.
"""

import torch


def outputs(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return u (n, h) and y_hat (n, o)."""
    raise NotImplementedError


def gradient_of_y_hat(y_hat: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return dL/dy_hat (n, o)."""
    raise NotImplementedError


def gradient_of_w2(u: torch.Tensor, dy_hat: torch.Tensor) -> torch.Tensor:
    """Return dL/dW2, of W2's shape; `dy_hat` (n, o) is dL/dy_hat."""
    raise NotImplementedError


def gradient_of_z(u: torch.Tensor, W2: torch.Tensor, dy_hat: torch.Tensor) -> torch.Tensor:
    """Return dL/dZ (n, h)."""
    raise NotImplementedError


def gradient_of_w1(X: torch.Tensor, dZ: torch.Tensor) -> torch.Tensor:
    """Return dL/dW1, of W1's shape; `dZ` (n, h) is dL/dZ."""
    raise NotImplementedError
