"""Check problem 3's answers: against torch's gradient of the penalised loss, and torch's SGD."""

from collections.abc import Callable

import torch

from stages.weight_decay.updates import trajectory_of_sgd
from tools.exercise.verdicts import difference, same

ALPHA, LAMBDA = 0.05, 0.3
RANDOM = torch.Generator().manual_seed(0)
W, TARGET = (torch.randn(5, dtype=torch.float64, generator=RANDOM) for _ in range(2))


def loss_without_penalty(w: torch.Tensor) -> torch.Tensor:
    """Return a loss that is no quadratic."""
    return ((w - TARGET) ** 4).sum()


def gradient_without_penalty() -> torch.Tensor:
    """Return autograd's gradient of that loss at W."""
    w = W.clone().requires_grad_()
    return torch.autograd.grad(loss_without_penalty(w), w)[0]


def after_torchs_update(weight_decay: float = 2 * LAMBDA) -> torch.Tensor:
    """Return the weights after one update of torch's SGD."""
    return trajectory_of_sgd(loss_without_penalty, W, ALPHA, weight_decay / 2, steps=1)[0]


def of_loss(answer: Callable) -> str | None:
    """Return what is off with (a)."""
    loss, squares = loss_without_penalty(W), (W**2).sum()
    theirs = answer(loss, W, LAMBDA)
    if same(theirs, loss + LAMBDA * squares.sqrt()):
        return "has the norm, and not its square"
    if same(theirs, loss + LAMBDA * squares / 2):
        return "has half of the penalty: the homework's has no 1/2"
    if same(theirs, loss + LAMBDA * W.abs().sum()):
        return "has the sum of absolute values, another penalty"
    if same(theirs, loss + squares):
        return "has the penalty without its strength"
    if same(theirs, loss - LAMBDA * squares):
        return "has the penalty with the wrong sign"
    return difference(theirs, loss + LAMBDA * squares)


def of_update(answer: Callable) -> str | None:
    """Return what is off with an update, by the ways in which the decay may go astray."""
    w, gradient, after = W, gradient_without_penalty(), after_torchs_update()
    theirs = answer(w.clone(), gradient.clone(), ALPHA, LAMBDA)
    decay = (w - ALPHA * gradient - after) / w  # torch's, the same for each weight
    mistakes = {
        "is the update without decay": w - ALPHA * gradient,
        "steps along the gradient, and not against it": w + ALPHA * gradient - decay * w,
        "decays by half as much: the derivative of a square has a factor": w - ALPHA * gradient - decay * w / 2,
        "decays with the wrong sign: the weights grow": w - ALPHA * gradient + decay * w,
        "decays without alpha: the penalty's gradient is part of the step": w - ALPHA * gradient - decay / ALPHA * w,
        "shrinks the weights after the step and not before": (1 - decay) * (w - ALPHA * gradient),
        "shrinks the gradient too": (1 - decay) * w - ALPHA * (1 - decay) * gradient,
        "takes the gradient without alpha": w - gradient - decay * w,
        "has no alpha: a step has a size": w - gradient - decay / ALPHA * w,
        "steps along the gradient of (a), and not against it": w + ALPHA * gradient + decay * w,
        "decays twice": w - ALPHA * gradient - 2 * decay * w,
    }
    for words, mistaken in mistakes.items():
        if same(theirs, mistaken):
            return words
    return difference(theirs, after)


def of_factor(answer: Callable) -> str | None:
    """Return what is off with the shrink factor; the right one follows from torch's update."""
    factor = float(((after_torchs_update() + ALPHA * gradient_without_penalty()) / W).mean())
    theirs = answer(ALPHA, LAMBDA)
    if same(theirs, 1 - factor):
        return "is what is taken off, and not what is left"
    if same(theirs, (1 + factor) / 2):
        return "takes off half as much: the derivative of a square has a factor"
    if same(theirs, 2 - factor):
        return "is above 1: the weights grow"
    if same(theirs, 1 - (1 - factor) / ALPHA):
        return "has no alpha: a larger step shrinks more"
    return difference(theirs, factor)


def of_torchs(answer: Callable) -> str | None:
    """Return what is off with weight_decay, by an update of torch's SGD with it."""
    theirs = answer(LAMBDA)
    if words := difference(theirs, theirs if isinstance(theirs, (int, float)) else 0.0):
        return words
    if theirs < 0:
        return "is negative, which torch refuses"
    right = gradient_without_penalty() * -ALPHA + W * (1 - 2 * ALPHA * LAMBDA)
    if same(after_torchs_update(theirs), right):
        return None
    if same(after_torchs_update(2 * theirs), right):
        return "decays by half as much: torch adds weight_decay times w to the gradient of L, without a factor"
    return f"is {theirs:.4g}, with which torch's update is not that of (b)"


CHECKS = {
    "penalised_loss": of_loss,
    "update_by_penalty": of_update,
    "shrink_factor": of_factor,
    "update_by_shrinking": of_update,
    "weight_decay_of_torch": of_torchs,
}
