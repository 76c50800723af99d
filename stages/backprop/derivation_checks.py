"""Check the steps on the way to problem 1's gradients: by indices, the derivative of sigma, and what is kept in memory.

Each gradient is computed with sums over indices, as the derivation writes them, and compared with autograd's, also that
of y_hat, u and Z. sympy differentiates sigma. What torch saves for its backward pass is counted.
"""

import math
from collections.abc import Callable

import numpy as np
import sympy
import torch

from plumbline.checks.claims import Checks
from stages.backprop.gradient_checks import AUTOGRAD_LIMIT, relative_error
from stages.backprop.hidden_layer import random_network

SIZES = (4, 3, 5, 2)  # n, d, h, o, all different


def gradients_by_indices(X: np.ndarray, W1: np.ndarray, W2: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """Return the derivative of L by each value, every entry a sum over the index that it does not have.

    i counts samples, a inputs, j hidden units, k outputs.
    """
    (n, d), h, o = X.shape, *W2.shape
    u = 1 / (1 + np.exp(-X @ W1))
    dy_hat = 2 * (u @ W2 - y)
    dW2 = by_entry((h, o), lambda j, k: math.fsum(u[i, j] * dy_hat[i, k] for i in range(n)))
    du = by_entry((n, h), lambda i, j: math.fsum(dy_hat[i, k] * W2[j, k] for k in range(o)))
    dZ = by_entry((n, h), lambda i, j: du[i, j] * u[i, j] * (1 - u[i, j]))
    dW1 = by_entry((d, h), lambda a, j: math.fsum(X[i, a] * dZ[i, j] for i in range(n)))
    dX = by_entry((n, d), lambda i, a: math.fsum(dZ[i, j] * W1[a, j] for j in range(h)))
    return {"y_hat": dy_hat, "W2": dW2, "u": du, "Z": dZ, "W1": dW1, "X": dX}


def by_entry(shape: tuple[int, int], entry: Callable[[int, int], float]) -> np.ndarray:
    """Return the matrix of this shape whose entries are entry(row, column)."""
    return np.array([[entry(row, column) for column in range(shape[1])] for row in range(shape[0])])


def autograds_gradients(
    X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Return autograd's derivative of L by each value."""
    X, W1, W2 = (each.clone().requires_grad_() for each in (X, W1, W2))
    Z = X @ W1
    u = torch.sigmoid(Z)
    y_hat = u @ W2
    values = {"y_hat": y_hat, "W2": W2, "u": u, "Z": Z, "W1": W1, "X": X}
    return dict(zip(values, torch.autograd.grad(((y_hat - y) ** 2).sum(), list(values.values())), strict=True))


def saved_numbers(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor, *, input_gradient: bool) -> int:
    """Return how many numbers, weights aside, torch saves in the forward pass for the backward pass."""
    W1, W2 = (each.clone().requires_grad_() for each in (W1, W2))
    X = X.clone().requires_grad_(input_gradient)
    saved = {}

    def save(tensor: torch.Tensor) -> torch.Tensor:
        saved[tensor.data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
        L = ((torch.sigmoid(X @ W1) @ W2 - y) ** 2).sum()
    weights = {W1.data_ptr(), W2.data_ptr()}
    numbers = sum(tensor.numel() for address, tensor in saved.items() if address not in weights)
    L.backward()  # until then the saved tensors are alive, so that no two of them have one address
    return numbers


def check_derivation(checks: Checks) -> dict[str, float]:
    """Check each step; return the relative error of each gradient by indices."""
    network = random_network(*SIZES)
    ours, theirs = gradients_by_indices(*(each.numpy() for each in network)), autograds_gradients(*network)
    errors = {name: relative_error(torch.from_numpy(ours[name]), theirs[name]) for name in theirs}
    for name, error in errors.items():
        checks.expect_error(error, AUTOGRAD_LIMIT, f"dL/d{name} by indices equals autograd's", f"n, d, h, o = {SIZES}")
    z = sympy.Symbol("z", real=True)
    u = 1 / (1 + sympy.exp(-z))
    checks.expect_equal(sympy.simplify(sympy.diff(u, z) - u * (1 - u)), 0, "sympy's derivative of sigma is u (1 - u)")
    n, d, h, o = SIZES
    for wanted in (False, True):
        claim = f"the backward pass {'with' if wanted else 'without'} dX needs X, u and y_hat - y, as torch keeps them"
        checks.expect_equal(saved_numbers(*network, input_gradient=wanted), n * (d + h + o), claim, "numbers")
    return errors
