"""One update of the weights: the mean loss's gradient over some images, from all processes, and a step along it."""

from contextlib import nullcontext

import torch
from torch import nn

from plumbline.training.phase import classify
from stages.finetune.divergence import refuse_divergence
from stages.finetune.state import Run
from stages.finetune.task import Task
from stages.finetune.trained_part import TrainedPart


def update(run: Run, task: Task, part: TrainedPart, indices: torch.Tensor) -> None:
    """Change the weights once, by the mean loss's gradient over the images with these indices, in all processes."""
    recipe, progress = task.recipe, run.progress
    run.optimiser.zero_grad()
    batches = indices.split(recipe.batch_size)
    losses, correct = zip(
        *(backward(task, part, own, len(own) / len(indices), own is batches[-1]) for own in batches), strict=True
    )
    parameters = [parameter for parameter in run.network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    sums = task.processes.total(torch.stack([*losses, *correct]))
    *found, norm_found = torch.cat([sums, norm.reshape(1)]).tolist()  # the only wait for a GPU
    refuse_divergence(run, task, indices, found[: len(losses)], norm_found)
    if recipe.clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, recipe.clip_norm, norm)
    run.optimiser.step()
    if run.average is not None:
        run.average.update_parameters(run.network)
    progress.loss_sum += sum(loss * len(own) for loss, own in zip(found, batches, strict=False))
    progress.correct += round(sum(found[len(losses) :]))
    progress.position += len(indices)
    progress.step += 1


def backward(
    task: Task, part: TrainedPart, indices: torch.Tensor, share: float, last: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the gradient of a batch's mean loss, times its share of the update, from this process's images in the batch.

    Returns the loss, of which the sum over all processes is the batch's mean, and how many images were right. The
    gradients are averaged over the processes after the last batch.
    """
    recipe, processes = task.recipe, task.processes
    inputs, labels, own_share = own_part_of_batch(task, part, indices)
    waiting = nullcontext() if last or processes.count == 1 else part.trained.no_sync()
    with waiting:
        logits, loss = classify(
            part.trained,
            inputs,
            labels,
            task.arithmetic,
            label_smoothing=recipe.label_smoothing,
            class_weights=task.class_weights,
        )
        loss = loss * own_share if own_share else logits.sum() * 0.0
        (loss * (share * processes.count)).backward()
    return loss.detach(), is_correct(logits.detach(), labels).sum()


def own_part_of_batch(task: Task, part: TrainedPart, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the inputs and labels of this process's images in a batch, and their share of what the batch's mean is of.

    A batch of fewer images than processes leaves some with none: they take part with no image, and no share.
    """
    own = task.processes.own(indices)
    inputs, labels = next(iter(part.train.in_order(own if len(own) else indices[:1], len(indices))))
    if len(own) == 0:
        return inputs[:0], labels[:0], 0.0
    if task.processes.count == 1:
        return inputs, labels, 1.0
    if task.class_weights is None or labels.dim() > 1:  # the mean of mixed labels is over the images, in torch
        return inputs, labels, len(own) / len(indices)
    weights = task.class_weights.cpu()[task.train.labels.cpu()]
    return inputs, labels, float(weights[own].sum() / weights[indices].sum())


def is_correct(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Say for each image whether its likeliest class is the label, or the largest part of a mixed one."""
    return logits.argmax(dim=1) == (labels if labels.dim() == 1 else labels.argmax(dim=1))
