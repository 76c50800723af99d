"""Find the shapes for which the homework's (0.5) and (0.6) hold as they are printed.

    (0.5)   dL/dW2 = 2 (y_hat - y)^T u
    (0.6)   dL/dW1 = 2 (y_hat - y) W2 sigma(Z) (1 - sigma(Z)) X        sigma's factors entry by entry

Each is computed as printed for all shapes n, d, h, o up to 3, and compared with the gradient. A rule predicts the
outcome for each shape, and is compared with it.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch

from plumbline.checks.claims import Checks
from stages.backprop import hidden_layer
from stages.backprop.hidden_layer import Activations, random_network

LARGEST = 3  # of n, d, h and o
TOLERANCE = 1e-12
EQUAL, TRANSPOSED, DIFFERENT, NOT_CONFORMABLE = "the gradient", "its transpose", "another matrix", "not conformable"
KEYS = {EQUAL: "gradient", TRANSPOSED: "transpose", DIFFERENT: "other", NOT_CONFORMABLE: "not_conformable"}
OUTCOMES = tuple(KEYS)


def printed_05(y: torch.Tensor, X: torch.Tensor, W2: torch.Tensor, kept: Activations) -> torch.Tensor:
    """Return (0.5), (o, h); raises RuntimeError if its factors do not conform."""
    return 2 * (kept.y_hat - y).T @ kept.u


def printed_06(y: torch.Tensor, X: torch.Tensor, W2: torch.Tensor, kept: Activations) -> torch.Tensor:
    """Return (0.6), from left to right; raises RuntimeError if its factors do not conform."""
    ahead = 2 * (kept.y_hat - y) @ W2  # (n, o) (h, o)
    if ahead.shape != kept.u.shape:
        raise RuntimeError(f"{tuple(ahead.shape)} is not the shape of sigma(Z), {tuple(kept.u.shape)}")
    return (ahead * kept.u * (1 - kept.u)) @ X  # (n, h) (n, d)


def rule_of_05(n: int, d: int, h: int, o: int) -> str:
    """Predict the outcome of (0.5) as printed: the transpose, which is the gradient itself if h = o = 1."""
    return EQUAL if h == o == 1 else TRANSPOSED


def rule_of_06(n: int, d: int, h: int, o: int) -> str:
    """Predict the outcome of (0.6) as printed: its factors conform only if n = h = o."""
    if not n == h == o:
        return NOT_CONFORMABLE
    if n > 1:
        return DIFFERENT
    return EQUAL if d == 1 else TRANSPOSED


@dataclass(frozen=True)
class Printed:
    """An equation as the homework prints it."""

    number: str
    value: Callable[..., torch.Tensor]
    rule: Callable[[int, int, int, int], str]
    gradient: int  # its place in Gradients


EQUATIONS = (Printed("0.5", printed_05, rule_of_05, 1), Printed("0.6", printed_06, rule_of_06, 0))


def check_print(checks: Checks) -> dict[str, dict[str, int]]:
    """Compute both equations for all shapes; return for each the number of shapes by outcome."""
    tallies = {}
    shapes = list(itertools.product(range(1, LARGEST + 1), repeat=4))
    for equation in EQUATIONS:
        outcomes = [outcome(equation, *shape) for shape in shapes]
        tallies[equation.number] = {kind: outcomes.count(kind) for kind in OUTCOMES}
        told = sum(kind == equation.rule(*shape) for kind, shape in zip(outcomes, shapes, strict=True))
        counts = ", ".join(f"{kind} for {count}" for kind, count in tallies[equation.number].items() if count)
        claim = f"({equation.number}) as printed gives for every shape what its rule says"
        checks.expect_equal(told, len(shapes), claim, counts)
    return tallies


def outcome(equation: Printed, n: int, d: int, h: int, o: int) -> str:
    """Return the outcome of the equation as printed, for a random network of this shape."""
    X, W1, W2, y = random_network(n, d, h, o)
    kept = hidden_layer.forward(X, W1, W2)
    gradient = hidden_layer.backward(X, W1, W2, y, kept, input_gradient=False)[equation.gradient]
    try:
        printed = equation.value(y, X, W2, kept)
    except RuntimeError:
        return NOT_CONFORMABLE
    if same(printed, gradient):
        return EQUAL
    return TRANSPOSED if same(printed, gradient.T) else DIFFERENT


def same(a: torch.Tensor, b: torch.Tensor) -> bool:
    """Whether two matrices have the same shape and, up to rounding, the same entries."""
    return a.shape == b.shape and torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE)
