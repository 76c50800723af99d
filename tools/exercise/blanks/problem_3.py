"""Problem 3: weight decay, one update of gradient descent in three forms.

(a) is the loss with the penalty, lambda times the squared norm of the weights. (b) is one update of gradient descent on
(a). (c) is the same update, as a shrinking of the weights and a step for L.

`gradient` is the gradient of the loss L without the penalty, at w; alpha is the step size.
"""

import torch


def penalised_loss(loss: torch.Tensor, w: torch.Tensor, lambda_: float) -> torch.Tensor:
    """Return (a), the loss that is minimised with weight decay; `loss` is L(w), a number."""
    raise NotImplementedError


def update_by_penalty(w: torch.Tensor, gradient: torch.Tensor, alpha: float, lambda_: float) -> torch.Tensor:
    """Return the weights after one update, as (b): a step against the gradient of (a)."""
    raise NotImplementedError


def shrink_factor(alpha: float, lambda_: float) -> float:
    """Return the factor in (c), by which an update first multiplies the weights."""
    raise NotImplementedError


def update_by_shrinking(w: torch.Tensor, gradient: torch.Tensor, alpha: float, lambda_: float) -> torch.Tensor:
    """Return the weights after one update, as (c): they are shrunk, and step against the gradient of L."""
    raise NotImplementedError


def weight_decay_of_torch(lambda_: float) -> float:
    """Return `weight_decay` with which torch.optim.SGD does the same update."""
    raise NotImplementedError
