"""Stop a run whose loss or gradient is not finite any more, and say where.

A train loss or a gradient stops it before the update that would follow from it; a val loss, after its epoch's updates.
"""

import math
from collections.abc import Sequence

import torch

from plumbline.run.errors import UserError
from stages.finetune.run_state import Run
from stages.finetune.training_setup import Setup

NAMED_IMAGES = 3  # of a batch
ADVICE = "lower finetune.lr, or set finetune.clip_norm or finetune.warmup_epochs"


class Diverged(UserError):
    """A loss or a gradient is not finite."""


def refuse_divergence(
    run: Run, setup: Setup, batches: Sequence[torch.Tensor], losses: Sequence[float], norm: float
) -> None:
    """Raise Diverged unless the losses of an update's batches, and the norm of its gradient, are finite.

    `batches` holds the indices of each batch's images. The message names the epoch, the batch, the learning rate and
    the first of the images: those of the first batch whose loss is not finite, or all that the gradient comes from.
    """
    wrong = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), None)
    if wrong is None and math.isfinite(norm):
        return
    first_batch = run.progress.position // setup.recipe.batch_size
    if wrong is not None:
        where, quantity, value = f"batch {first_batch + wrong}", "loss", losses[wrong]
        indices = batches[wrong]
    else:
        last_batch = first_batch + len(batches) - 1
        where = f"batch {first_batch}" if len(batches) == 1 else f"batches {first_batch} to {last_batch}"
        quantity, value, indices = "gradient's norm", norm, torch.cat(list(batches))
    lr = max(group["lr"] for group in run.optimiser.param_groups)
    paths = [setup.train.paths[i] for i in indices.tolist()]
    more = f" and {len(paths) - NAMED_IMAGES} more" if len(paths) > NAMED_IMAGES else ""
    raise Diverged(
        f"training diverged: the train {quantity} of epoch {run.progress.epoch}, {where}, is {value} at a learning "
        f"rate of {lr:g}, on {', '.join(paths[:NAMED_IMAGES])}{more}; {ADVICE}, and if it is the images, look at these"
    )


def refuse_val_divergence(run: Run, loss: float) -> None:
    """Raise Diverged unless a val loss is finite."""
    if not math.isfinite(loss):
        lr = max(group["lr"] for group in run.optimiser.param_groups)
        raise Diverged(
            f"training diverged: the val loss of epoch {run.progress.epoch} is {loss} at a learning rate of {lr:g}; "
            f"{ADVICE}"
        )
