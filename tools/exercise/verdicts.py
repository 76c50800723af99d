"""Compare an answer with what is right, and say in words how they differ, without saying what is right."""

import math
from dataclasses import dataclass
from typing import Any

import torch

LIMIT, FLOAT32_LIMIT = 1e-9, 1e-5  # relative error


@dataclass(frozen=True)
class Verdict:
    """What became of one function."""

    function: str
    words: str
    state: str  # right, wrong or not written


def difference(answer: Any, right: torch.Tensor | float, scales: dict[str, float] | None = None) -> str | None:
    """Return how an answer differs from what is right, in words; None if it is right.

    `scales` are factors that have a name: by what they are, an answer that is off by one of them.
    """
    if not isinstance(answer, (torch.Tensor, int, float)):
        return f"returns {kind(answer)}, not {kind(right)}"
    ours = torch.as_tensor(right, dtype=torch.float64)
    theirs = torch.as_tensor(answer, dtype=torch.float64).detach()
    if theirs.shape != ours.shape:
        return of_shapes(tuple(theirs.shape), tuple(ours.shape))
    if not torch.isfinite(theirs).all():
        return "holds a number that is not finite"
    single = isinstance(answer, torch.Tensor) and answer.dtype == torch.float32
    error = relative_error(theirs, ours)
    if error <= (FLOAT32_LIMIT if single else LIMIT):
        return None
    factor = common_factor(theirs, ours)
    if factor is None:
        return f"is wrong, by {error:.1e} of its size"
    if math.isclose(factor, -1, rel_tol=LIMIT):
        return "has the wrong sign"
    for name, value in (scales or {}).items():
        if math.isclose(factor, value, rel_tol=1e-6):
            return f"is {factor:.3g} times what it should be, {name}"
    if theirs.numel() == 1:  # any two numbers have a factor between them
        return f"is {theirs.item():.4g}, which is wrong"
    return f"is {factor:.3g} times what it should be, in every entry: a factor is off"


def kind(value: Any) -> str:
    """Return in words what a value is."""
    if isinstance(value, torch.Tensor):
        return "a tensor" if value.ndim else "a number"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return "a number"
    return "nothing" if value is None else f"a {type(value).__name__}"


def of_shapes(theirs: tuple[int, ...], right: tuple[int, ...]) -> str:
    """Return how two shapes differ."""
    transposed = ": it is the transpose" if theirs == right[::-1] else ""
    return f"has shape {theirs}, and should have {right}{transposed}"


def relative_error(theirs: torch.Tensor, right: torch.Tensor) -> float:
    """Return the norm of the difference over that of what is right."""
    return float((theirs - right).norm() / right.norm().clamp_min(torch.finfo(torch.float64).tiny))


def common_factor(theirs: torch.Tensor, right: torch.Tensor) -> float | None:
    """Return the one factor between two tensors; None where there is none."""
    factor = float((theirs * right).sum() / (right * right).sum().clamp_min(torch.finfo(torch.float64).tiny))
    proportional = relative_error(theirs, factor * right) <= LIMIT if factor else False
    return factor if proportional else None


def same(one: Any, other: torch.Tensor | float) -> bool:
    """Whether an answer is this value, that of a known mistake."""
    return difference(one, other) is None
