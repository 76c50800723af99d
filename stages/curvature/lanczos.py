"""Find the extreme eigenvalues of a symmetric matrix that is known by its products alone.

Lanczos's method is the power iteration that keeps all its vectors: from as many products it finds both ends
of the spectrum, where the power iteration finds the one that is larger in magnitude, and slower.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Extremes:
    """The largest and the smallest eigenvalue, as far as they are known."""

    largest: float
    smallest: float
    residual: float  # norm of H x - largest x: an eigenvalue lies within this of `largest`
    asymmetry: float  # how far the products are from those of a symmetric matrix, relative to its norm


def extreme_eigenvalues(
    product: Callable[[torch.Tensor], torch.Tensor], start: torch.Tensor, steps: int, most: int | None = None
) -> Extremes:
    """Return the extremes of a symmetric (P, P) matrix from `steps` products, beginning with the vector `start` (P,).

    Of `most` products it takes as many more as make the largest known to less than its size. `largest` is never above
    the true one, but for rounding.
    Source: Golub and Van Loan 2013, Matrix Computations, 10.1; with full orthogonalisation.
    """
    basis = [start / start.norm()]
    alphas, betas, asymmetries = [], [], [0.0]
    for step in range(steps if most is None else most):
        image = product(basis[step])
        alphas.append(torch.dot(image, basis[step]).item())
        if step:  # the same entry of the matrix, from the product before
            asymmetries.append(abs(torch.dot(image, basis[step - 1]).item() - betas[-1]))
        for _ in range(2):  # once is not enough in float32
            for vector in basis:
                image -= torch.dot(image, vector) * vector
        betas.append(image.norm().item())
        if betas[-1] <= 1e-6 * max(map(abs, (*alphas, *betas))):  # nothing is left to find
            break
        if step + 1 >= steps and is_known(extremes(alphas, betas, asymmetries)):
            break
        basis.append(image / betas[-1])
    return extremes(alphas, betas, asymmetries)


def is_known(eigenvalues: Extremes) -> bool:
    """Return whether the largest eigenvalue is known to less than its size."""
    return eigenvalues.residual <= abs(eigenvalues.largest)


def extremes(alphas: list[float], betas: list[float], asymmetries: list[float]) -> Extremes:
    """Return the extremes of the tridiagonal matrix with this diagonal and this one beside it, which ends one later."""
    tridiagonal = np.diag(alphas) + np.diag(betas[: len(alphas) - 1], 1) + np.diag(betas[: len(alphas) - 1], -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    norm = max(np.abs(values).max(), np.finfo(np.float64).tiny)
    return Extremes(
        largest=float(values[-1]),
        smallest=float(values[0]),
        residual=float(betas[-1] * abs(vectors[-1, -1])),
        asymmetry=float(max(asymmetries) / norm),
    )
