"""Stop a run whose loss or gradient is not finite any more, before it spoils the weights, and say where."""

import math

import torch

from plumbline.run.errors import UserError
from stages.finetune.run_state import Run
from stages.finetune.training_setup import Setup

NAMED_IMAGES = 3  # of a batch
ADVICE = "lower finetune.lr, or set finetune.clip_norm or finetune.warmup_epochs"


class Diverged(UserError):
    """A loss or a gradient is not finite."""


def refuse_divergence(run: Run, setup: Setup, indices: torch.Tensor, losses: list[float], norm: float) -> None:
    """Raise Diverged unless the losses of an update's batches, and the norm of its gradient, are finite.

    The message names the epoch, the update's batch, the learning rate and the first of the images.
    """
    wrong = next((loss for loss in losses if not math.isfinite(loss)), None)
    if wrong is None and math.isfinite(norm):
        return
    quantity, value = ("gradient's norm", norm) if wrong is None else ("loss", wrong)
    epoch, batch = run.progress.epoch, run.progress.position // setup.recipe.batch_size
    lr = max(group["lr"] for group in run.optimiser.param_groups)
    paths = [setup.train.paths[i] for i in indices.tolist()]
    more = f" and {len(paths) - NAMED_IMAGES} more" if len(paths) > NAMED_IMAGES else ""
    raise Diverged(
        f"training diverged: the train {quantity} of epoch {epoch}, batch {batch}, is {value} at a learning rate of "
        f"{lr:g}, on {', '.join(paths[:NAMED_IMAGES])}{more}; {ADVICE}, and if it is the images, look at these"
    )


def refuse_val_divergence(run: Run, loss: float) -> None:
    """Raise Diverged unless a val loss is finite."""
    if not math.isfinite(loss):
        lr = max(group["lr"] for group in run.optimiser.param_groups)
        raise Diverged(
            f"training diverged: the val loss of epoch {run.progress.epoch} is {loss} at a learning rate of {lr:g}; "
            f"{ADVICE}"
        )
