"""Prove the gradients in symbols: sympy differentiates the loss, and the difference is zero, entry by entry."""

import numpy as np
import sympy

from plumbline.checks.claims import Checks
from stages.backprop import hidden_layer
from stages.backprop.hidden_layer import Activations

SIZES = ((1, 2, 3, 2), (2, 3, 2, 2))  # n, d, h, o


def check_symbolically(checks: Checks) -> int:
    """Compare the closed form with sympy's derivative for every entry of X, W1 and W2; return how many."""
    entries = 0
    for sizes in SIZES:
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
    """Return the substitution that makes polynomials of the derivatives: exp(-z) = 1/u - 1, as u = sigma(z)."""
    substitution = {}
    for (i, j), z in np.ndenumerate(Z):
        u = sympy.Symbol(f"u{i}{j}", positive=True)
        substitution[1 + sympy.exp(-z)] = 1 / u
        substitution[sympy.exp(-z)] = 1 / u - 1
    return substitution
