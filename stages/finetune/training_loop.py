"""The training loop: a run's epochs, and the one update of the weights that an epoch repeats.

From top to bottom: `train` goes from wherever the run stands to its last epoch; `update` takes one step; `end_epoch`
validates. A train phase's loss and accuracy are running averages while the weights change; a val phase is in
evaluation mode. With one process, `distributed` calls return what they are given.
"""

from collections.abc import Callable, Iterator
from contextlib import nullcontext

import torch
from torch import nn
from tqdm import tqdm

from plumbline.params.finetune import Finetune
from plumbline.training.loss_and_accuracy import PhaseResult, classify, evaluate
from stages.finetune.augmentation import mixes_labels
from stages.finetune.divergence import refuse_divergence, refuse_val_divergence
from stages.finetune.interruption import Interruption
from stages.finetune.minibatches import Batch, TrainedPart, in_order, is_frozen_in_part, part_for_epoch
from stages.finetune.optimiser_and_schedule import lr_factor, set_lr
from stages.finetune.probe_head import ProbeHead
from stages.finetune.run_state import History, Run
from stages.finetune.sampling_order import draw_order
from stages.finetune.training_setup import Setup

BEFORE = -1  # the epoch under which the history has the network before its first update, where its head is the probe's


def train(run: Run, setup: Setup, save: Callable[[], None], interruption: Interruption) -> None:
    """Train to the last epoch, saving after each one and every `checkpoint_steps` updates.

    `interruption` is asked wherever the run's state is whole, and may raise: a run that is saved then and resumed does
    what it would have done. Raises Diverged for a loss or gradient that is not finite; for one of train, the weights
    are then those before the update.
    """
    recipe, progress, part = setup.recipe, run.progress, None
    if setup.probe_head is not None and not progress.history:
        part = part_for_epoch(0, run, setup, interruption.check) if recipe.epochs else None
        begin_history(run, setup, part, interruption.check)
    with progress_bar(run, setup) as bar:
        while not is_finished(progress.history, recipe):
            if part is None or part.is_frozen_in_part != is_frozen_in_part(progress.epoch, recipe):
                part = None  # before another takes its place: both would average the same gradients
                part = part_for_epoch(progress.epoch, run, setup, interruption.check)
            if progress.order is None:
                progress.order = setup.distributed.broadcast(draw_order(setup.train.labels, recipe))
            bar.set_description(f"epoch {progress.epoch}")
            to_training_mode(part.trained, recipe)
            while progress.position < len(progress.order):
                indices = progress.order[progress.position :][: recipe.batch_size * recipe.accumulate]
                set_lr(run.optimiser, learning_rate(progress.step, setup))
                update(run, setup, part, indices)
                show(bar, run, len(indices))
                if recipe.checkpoint_steps and progress.step % recipe.checkpoint_steps == 0:
                    save()
                interruption.check_all_ranks()
            end_epoch(run, setup, part, interruption.check)
            save()
            interruption.check_all_ranks()


def begin_history(run: Run, setup: Setup, part: TrainedPart | None, check: Callable[[], None]) -> None:
    """Add the network with the probe's head, before its first update, to the history; it may be the best of all.

    The loss on train is the one that is minimised. Val is computed as in the epochs that follow, in their precision: of
    the same weights they have the same val loss. Where none follows, `part` is None and the probe's logits serve.
    """
    weight = None if setup.class_weights is None else setup.class_weights.double().cpu()
    minimised = {"weight": weight, "label_smoothing": setup.recipe.label_smoothing}
    trained = probe_phase(setup.probe_head, "train", setup.train.labels, **minimised)
    print_phase(BEFORE, "train", trained)
    validated = val_phase(setup, part, check) if part else probe_phase(setup.probe_head, "val", setup.val.labels)
    print_phase(BEFORE, "val", validated)
    run.progress.history.append(history_row(BEFORE, trained, validated, lr=0.0))
    if setup.recipe.keep == "best":
        run.keep_best(everything=True)


def probe_phase(probe_head: ProbeHead, split: str, labels: torch.Tensor, **options: object) -> PhaseResult:
    """Return the loss and the accuracy of the probe's logits; the options are those of torch's cross-entropy."""
    logits, labels = probe_head.logits[split], labels.cpu()
    loss = nn.functional.cross_entropy(logits, labels, **options)
    return PhaseResult(loss.item(), is_correct(logits, labels).double().mean().item())


def update(run: Run, setup: Setup, part: TrainedPart, indices: torch.Tensor) -> None:
    """Change the weights once, by the gradient of the mean loss over the images with these indices."""
    recipe, progress = setup.recipe, run.progress
    run.optimiser.zero_grad()
    batches = indices.split(recipe.batch_size)  # several if gradients are accumulated
    weights = [weight_of(batch, setup) for batch in batches]
    outputs = [
        backward(setup, part, batch, weight / sum(weights), batch is batches[-1])
        for batch, weight in zip(batches, weights, strict=True)
    ]
    losses, correct = zip(*outputs, strict=True)
    parameters = [parameter for parameter in run.network.parameters() if parameter.grad is not None]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters])
    sums = setup.distributed.all_reduce(torch.stack([*losses, *correct]))
    *values, norm_value = torch.cat([sums, norm.reshape(1)]).tolist()  # the only wait for a GPU
    loss_values, correct_values = values[: len(batches)], values[len(batches) :]
    refuse_divergence(run, setup, batches, loss_values, norm_value)
    if recipe.clip_norm is not None:
        nn.utils.clip_grads_with_norm_(parameters, recipe.clip_norm, norm)
    run.optimiser.step()
    if run.ema is not None:
        run.ema.update_parameters(run.network)
    progress.loss_sum += sum(loss * weight for loss, weight in zip(loss_values, weights, strict=True))
    progress.weight_sum += sum(weights)
    progress.correct += round(sum(correct_values))
    progress.position += len(indices)
    progress.step += 1


def backward(
    setup: Setup, part: TrainedPart, indices: torch.Tensor, share_of_update: float, is_last: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Add the gradient of a batch's mean loss, times its share of the update.

    Returns the batch's mean loss in nats, and how many of its images were right; of several processes, what the sum
    over all is. Their gradients are averaged after the update's last batch.
    """
    recipe, world_size = setup.recipe, setup.distributed.world_size
    inputs, labels, share_of_batch = batch_shard(setup, part, indices)
    with nullcontext() if is_last or world_size == 1 else part.trained.no_sync():
        logits, loss = classify(
            part.trained,
            inputs,
            labels,
            setup.compute,
            label_smoothing=recipe.label_smoothing,
            class_weights=setup.class_weights,
        )
        loss = loss * share_of_batch if share_of_batch else logits.sum() * 0.0
        (loss * (share_of_update * world_size)).backward()
    return loss.detach(), is_correct(logits.detach(), labels).sum()


def batch_shard(setup: Setup, part: TrainedPart, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return the inputs (B, ...) and labels of this process's images in a batch, and their share of the batch's mean.

    A batch of fewer images than processes leaves some with none: they take part with no image, and no share.
    """
    shard = setup.distributed.shard(indices)
    if len(shard) == 0:
        inputs, labels = part.train.batch(indices[:1])
        return inputs[:0], labels[:0], 0.0
    inputs, labels = part.train.batch(shard)
    return inputs, labels, weight_of(shard, setup) / weight_of(indices, setup)


def weight_of(indices: torch.Tensor, setup: Setup) -> float:
    """Return what training images with these indices (B,) count for in the mean loss over several such parts.

    Each counts once, or as much as the weight of its class. Of mixed labels torch takes the mean over the images.
    """
    if setup.class_weights is None or mixes_labels(setup.recipe.augment):
        return len(indices)
    return setup.class_weights.cpu()[setup.train.labels[indices].cpu()].sum().item()


def is_correct(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return for each image whether its likeliest class is the label, or the largest part of a mixed one."""
    return logits.argmax(dim=1) == (labels if labels.dim() == 1 else labels.argmax(dim=1))


def to_training_mode(network: nn.Module, recipe: Finetune) -> None:
    """Let dropout drop, and batch normalisation use each batch's statistics unless those are frozen."""
    network.train()
    if recipe.freeze_statistics:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # the base of all of torch's
                module.eval()


def learning_rate(step: int, setup: Setup) -> float:
    """Return the head's learning rate in an update, counted from 0."""
    return setup.recipe.lr * lr_factor(step, setup.steps_per_epoch, setup.recipe)


def end_epoch(run: Run, setup: Setup, part: TrainedPart, check: Callable[[], None]) -> None:
    """Run the val phase, add the epoch to the history, keep the weights if they are the best, and go to the next."""
    progress, recipe = run.progress, setup.recipe
    trained = PhaseResult(progress.loss_sum / progress.weight_sum, progress.correct / progress.position)
    print_phase(progress.epoch, "train", trained)
    validated = val_phase(setup, part, check)
    print_phase(progress.epoch, "val", validated)
    refuse_val_divergence(run, validated.loss)
    progress.history.append(history_row(progress.epoch, trained, validated, learning_rate(progress.step - 1, setup)))
    if recipe.keep == "best" and best_row(progress.history)["epoch"] == progress.epoch:
        run.keep_best(everything=recipe.thaw_epoch is not None)
    progress.epoch += 1
    progress.order, progress.position = None, 0
    progress.loss_sum, progress.weight_sum, progress.correct = 0.0, 0.0, 0


def history_row(epoch: int, trained: PhaseResult, validated: PhaseResult, lr: float) -> dict[str, float]:
    """Return what the history says of an epoch."""
    return {
        "epoch": epoch,
        "train_loss": trained.loss,
        "train_accuracy": trained.accuracy,
        "val_loss": validated.loss,
        "val_accuracy": validated.accuracy,
        "learning_rate": lr,
    }


def val_phase(setup: Setup, part: TrainedPart, check: Callable[[], None]) -> PhaseResult:
    """Return the mean loss and the accuracy on val; `check` is called before each batch, and may raise."""
    shard = setup.distributed.shard(torch.arange(len(setup.val.labels)))

    def batches() -> Iterator[Batch]:
        for batch in in_order(part.val, shard, setup.compute.evaluation_batch_size):
            check()
            yield batch

    result = evaluate(part.validated, batches(), setup.compute)
    if setup.distributed.world_size == 1:
        return result
    sums = torch.tensor([result.loss * len(shard), result.accuracy * len(shard), len(shard)], dtype=torch.float64)
    loss, correct, images = setup.distributed.all_reduce(sums.to(setup.compute.device)).tolist()
    return PhaseResult(loss / images, round(correct) / images)


def best_row(history: History) -> dict[str, float]:
    """Return the epoch with the lowest val loss, the first of several."""
    return min(history, key=lambda row: row["val_loss"])


def epochs_done(history: History) -> int:
    """Return how many epochs were trained."""
    return history[-1]["epoch"] + 1 if history else 0


def is_finished(history: History, recipe: Finetune) -> bool:
    """Return whether the last epoch is done, or the val loss has not fallen for `patience` epochs."""
    done = epochs_done(history)
    if not history or recipe.patience is None:
        return done == recipe.epochs
    return done == recipe.epochs or done - 1 - best_row(history)["epoch"] >= recipe.patience


def kept_row(history: History, recipe: Finetune) -> dict[str, float]:
    """Return the epoch whose weights are written."""
    return best_row(history) if recipe.keep == "best" else history[-1]


def progress_bar(run: Run, setup: Setup) -> tqdm:
    """Return a bar that counts training images; there is none where stderr is no terminal."""
    images = len(setup.train.labels)
    seen, total = run.progress.images_seen(images), setup.recipe.epochs * images
    disable = None if setup.distributed.is_main else True
    return tqdm(total=total, initial=seen, unit="image", disable=disable, dynamic_ncols=True)


def show(bar: tqdm, run: Run, images: int) -> None:
    """Move the bar on by an update's images, with the epoch's running averages."""
    progress = run.progress
    loss, accuracy = progress.loss_sum / progress.weight_sum, progress.correct / progress.position
    bar.update(images)
    bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)


def print_phase(epoch: int, phase: str, result: PhaseResult) -> None:
    """Print the homework's line."""
    tqdm.write(f"Epoch:{epoch} -- Phase:{phase} -- Loss:{result.loss:.2f} -- Acc:{100 * result.accuracy:.2f}")
