"""Problem 1 with small numbers, forward and backward by hand: two samples, two inputs, one hidden unit, one output."""

import torch

from plumbline.checks.claims import Checks
from plumbline.checks.derivations import Table
from stages.backprop import hidden_layer
from stages.backprop.derivation_checks import autograds_gradients
from stages.backprop.gradient_checks import AUTOGRAD_LIMIT, relative_error


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the example's X (2, 2), W1 (2, 1), W2 (1, 1) and y (2, 1)."""
    X, W1, W2, y = [[1, 2], [3, -1]], [[0.5], [-0.25]], [[2]], [[0], [2]]
    return tuple(torch.tensor(each, dtype=torch.float64) for each in (X, W1, W2, y))


def worked_example(checks: Checks) -> Table:
    """Return each value with the arithmetic that gives it; the gradients are compared with autograd's."""
    X, W1, W2, y = example()
    kept = hidden_layer.forward(X, W1, W2)
    gradients = hidden_layer.backward(X, W1, W2, y, kept, input_gradient=False)
    right = autograds_gradients(X, W1, W2, y)
    error = max(relative_error(gradients.dW1, right["W1"]), relative_error(gradients.dW2, right["W2"]))
    checks.expect_error(error, AUTOGRAD_LIMIT, "the worked example's gradients are autograd's")

    u, y_hat, dy_hat, du, dZ = (each.flatten().tolist() for each in (*kept, right["y_hat"], right["u"], right["Z"]))
    Z, w, (v,) = (X @ W1).flatten().tolist(), W1.flatten().tolist(), W2.flatten().tolist()
    inputs, targets, samples = X.tolist(), y.flatten().tolist(), range(len(X))
    dW1, dW2, dX = right["W1"].flatten().tolist(), right["W2"].item(), right["X"].tolist()
    L = float(hidden_layer.loss(kept.y_hat, y))
    of_each = {
        "Z": [f"{products(inputs[i], w)} = {shown(Z[i])}" for i in samples],
        "u": [f"1 / (1 + e^{bracketed(-Z[i])}) = {shown(u[i])}" for i in samples],
        "y_hat": [f"{products([u[i]], [v])} = {shown(y_hat[i])}" for i in samples],
        "L": [" + ".join(f"({shown(y_hat[i])} - {shown(targets[i])})^2" for i in samples) + f" = {shown(L)}"],
        "dL/dy_hat": [f"2 x ({shown(y_hat[i])} - {shown(targets[i])}) = {shown(dy_hat[i])}" for i in samples],
        "dL/dW2": [f"{products(u, dy_hat)} = {shown(dW2)}"],
        "dL/du": [f"{products([dy_hat[i]], [v])} = {shown(du[i])}" for i in samples],
        "dL/dZ": [f"{bracketed(du[i])} x {shown(u[i])} x (1 - {shown(u[i])}) = {shown(dZ[i])}" for i in samples],
        "dL/dW1": [f"{products([inputs[i][a] for i in samples], dZ)} = {shown(dW1[a])}" for a in range(len(w))],
        "dL/dX": [
            f"{bracketed(dZ[i])} x {bracketed(w[a])} = {shown(dX[i][a])}" for i in samples for a in range(len(w))
        ],
    }
    named = {"X": X, "W1": W1, "W2": W2, "y": y}
    start = ", ".join(f"{name} = {in_rows(each)}" for name, each in named.items())
    rows = [[name, "; ".join(parts)] for name, parts in of_each.items()]
    return Table(
        f"A worked example, computed with all digits and shown with three decimals: {start}", ["value", "by hand"], rows
    )


def shown(number: float) -> str:
    """Return a number with at most three decimals."""
    return f"{round(number, 3) + 0.0:g}"


def in_rows(matrix: torch.Tensor) -> str:
    """Return a matrix in writing, row by row."""
    rows = (", ".join(map(shown, row)) for row in matrix.tolist())
    return "[" + ", ".join(f"[{row}]" for row in rows) + "]"


def bracketed(number: float) -> str:
    """Return a number that follows a sign, in brackets if it is negative."""
    return f"({shown(number)})" if number < 0 else shown(number)


def products(left: list[float], right: list[float]) -> str:
    """Return the sum of products in writing."""
    return " + ".join(f"{bracketed(a)} x {bracketed(b)}" for a, b in zip(left, right, strict=True))
