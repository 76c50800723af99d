"""The optimiser, with each parameter's share of the learning rate and weight decay, and the schedule of the rate."""

import math
from itertools import groupby

import torch
from torch import nn

from plumbline.model.families import layers_in_order
from plumbline.params.finetune import Finetune

BETA_2, EPS = 0.999, 1e-8  # of Adam and AdamW; torch's defaults
ONE_CYCLE_RISE = 0.3  # of all updates; fast.ai's and torch's default


def build_optimiser(network: nn.Module, recipe: Finetune) -> torch.optim.Optimizer:
    """Return the optimiser over all parameters of the network. One that has no gradient is left as it is.

    On a GPU it is torch's fused one, which changes all parameters in one kernel.
    """
    groups = parameter_groups(network, recipe)
    common = {"lr": recipe.lr, "fused": True if next(network.parameters()).is_cuda else None}  # None: torch chooses
    match recipe.optimiser:
        case "sgd":
            return torch.optim.SGD(groups, momentum=recipe.momentum, **common)
        case "adam":
            return torch.optim.Adam(groups, betas=(recipe.momentum, BETA_2), eps=EPS, **common)
        case "adamw":
            return torch.optim.AdamW(groups, betas=(recipe.momentum, BETA_2), eps=EPS, **common)


def parameter_groups(network: nn.Module, recipe: Finetune) -> list[dict[str, object]]:
    """Return the parameters in groups that share `lr_share`, the share of the learning rate, and `weight_decay`.

    With `decay_vectors: false`, biases and normalisation (parameters of at most one dimension) are not decayed.
    """
    described = []
    for parameter, share in lr_shares(network, recipe.first_layer_lr):
        decays = recipe.decay_vectors or parameter.dim() > 1
        described.append((share, recipe.weight_decay if decays else 0.0, parameter))
    described.sort(key=lambda entry: entry[:2])
    return [
        {"params": [parameter for *_, parameter in entries], "lr_share": share, "weight_decay": decay}
        for (share, decay), entries in groupby(described, key=lambda entry: entry[:2])
    ]


def lr_shares(network: nn.Module, first: float) -> list[tuple[nn.Parameter, float]]:
    """Return each parameter with its layer's share of the learning rate, in equal ratios from `first` to 1.

    Source: Howard and Ruder 2018, "Universal language model fine-tuning", arXiv:1801.06146, section 3.2.
    """
    layers = layers_in_order(network)
    last = max(len(layers) - 1, 1)
    return [(p, first ** (1 - i / last)) for i, parameters in enumerate(layers) for p in parameters]


def set_lr(optimiser: torch.optim.Optimizer, lr: float) -> None:
    """Give every group of parameters its share of the learning rate for the next update."""
    for group in optimiser.param_groups:
        group["lr"] = lr * group["lr_share"]


def lr_factor(step: int, steps_per_epoch: int, recipe: Finetune) -> float:
    """Return what `lr` is multiplied with in an update, counted from 0: warm-up, then schedule.

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
