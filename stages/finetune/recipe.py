"""Make the optimiser, and say which learning rate each update has."""

import math

import torch
from torch import nn

from plumbline import params

BETA_2, EPS = 0.999, 1e-8  # of Adam and AdamW; torch's defaults
ONE_CYCLE_RISE = 0.3  # of all updates; fast.ai's and torch's default


def build_optimiser(network: nn.Module, recipe: params.Finetune) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters of the network."""
    groups = parameter_groups(network, recipe)
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, lr=recipe.lr, momentum=recipe.momentum)
        case "adam":
            return torch.optim.Adam(groups, lr=recipe.lr, betas=(recipe.momentum, BETA_2), eps=EPS)
        case "adamw":
            return torch.optim.AdamW(groups, lr=recipe.lr, betas=(recipe.momentum, BETA_2), eps=EPS)


def parameter_groups(network: nn.Module, recipe: params.Finetune) -> list[dict[str, object]]:
    """Return the parameters with their weight decay: all alike, or biases and normalisation (vectors) exempt."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    if recipe.decay_vectors:
        return [{"params": parameters, "weight_decay": recipe.weight_decay}]
    exempt = [p for p in parameters if p.dim() <= 1]
    decayed = [p for p in parameters if p.dim() > 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": exempt, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def lr_factor(step: int, steps_per_epoch: int, recipe: params.Finetune) -> float:
    """Return what `lr` is multiplied with in an update, counted from 0: warm-up times schedule.

    The warm-up rises in equal steps to 1. Then: constant 1; cosine, half a wave from 1 to 0 (Loshchilov and Hutter
    2017, arXiv:1608.03983); one_cycle, a rise from 1/25 to 1 over the first three tenths and a fall to 1/250,000, both
    half waves (Smith and Topin 2019, arXiv:1708.07120, in torch's numbers); step, times `step_factor` after every
    `step_epochs` epochs.
    """
    total, warm = recipe.epochs * steps_per_epoch, recipe.warmup_epochs * steps_per_epoch
    if step < warm:
        return (step + 1) / (warm + 1)
    done = (step - warm) / max(total - warm, 1)  # in [0, 1)
    match recipe.schedule:
        case "constant":
            return 1.0
        case "cosine":
            return half_wave(1.0, 0.0, done)
        case "one_cycle" if done < ONE_CYCLE_RISE:
            return half_wave(1 / 25, 1.0, done / ONE_CYCLE_RISE)
        case "one_cycle":
            return half_wave(1.0, 1 / 250_000, (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE))
        case "step":
            return recipe.step_factor ** ((step - warm) // (recipe.step_epochs * steps_per_epoch))


def half_wave(start: float, end: float, share: float) -> float:
    """Return the value on the way from start to end along half a cosine, for a share in [0, 1]."""
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every group of parameters its learning rate for the next update."""
    for group in optimiser.param_groups:
        group["lr"] = lr
