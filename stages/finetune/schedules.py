"""Say which learning rate each update has, relative to `finetune.lr`."""

import math

from plumbline.params.finetune import Finetune

ONE_CYCLE_RISE = 0.3  # of all updates; fast.ai's and torch's default


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
