"""Multiply vectors by the Hessian of a loss, without ever forming it.

Source: Pearlmutter 1994, "Fast exact multiplication by the Hessian".
"""

from collections.abc import Callable

import torch

Product = Callable[[torch.Tensor], torch.Tensor]


def gradient_and_product(loss: torch.Tensor, parameters: list[torch.Tensor]) -> tuple[torch.Tensor, Product]:
    """Return the loss's gradient (P,) and the function that multiplies a vector (P,) by its Hessian.

    P counts the entries of all parameters. The gradient's own graph is kept, so that each product costs one
    backward pass through it: about as much as two gradients.
    """
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    sizes = [parameter.numel() for parameter in parameters]

    def product(vector: torch.Tensor) -> torch.Tensor:
        pieces = [piece.view_as(p) for piece, p in zip(vector.split(sizes), parameters, strict=True)]
        products = torch.autograd.grad(gradients, parameters, pieces, retain_graph=True, materialize_grads=True)
        return joined(products)

    return joined(gradients), product


def joined(tensors: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """Return all entries as one vector, without a graph."""
    return torch.cat([tensor.detach().flatten() for tensor in tensors])
