"""Train a run from wherever it stands to its last epoch, by the homework's two phases.

Each epoch has a train phase, in training mode, whose loss and accuracy are running averages while the weights
change; then a val phase, in evaluation mode. `interruption` is asked wherever the run's state is whole, and may raise:
a run that is saved then does what it would have done.
"""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn
from tqdm import tqdm

from plumbline.params.finetune import Finetune
from plumbline.training.phase import PhaseResult, run_phase
from stages.finetune.divergence import refuse_val_divergence
from stages.finetune.inputs import Batch
from stages.finetune.interruption import Interruption
from stages.finetune.optimisers import set_lr
from stages.finetune.sampling import draw_order
from stages.finetune.schedules import lr_factor
from stages.finetune.selection import best_epoch, is_finished
from stages.finetune.state import Run
from stages.finetune.task import Task
from stages.finetune.trained_part import TrainedPart, is_frozen_in_part, part_for_epoch
from stages.finetune.update import update


def train(run: Run, task: Task, save: Callable[[], None], interruption: Interruption) -> None:
    """Train to the last epoch, saving after each one and every `checkpoint_steps` updates.

    Raises Diverged for a loss or gradient that is not finite; the weights are then those before the update.
    """
    recipe, progress, part = task.recipe, run.progress, None
    with progress_bar(run, task) as bar:
        while not is_finished(progress.history, recipe):
            if part is None or part.is_frozen_in_part != is_frozen_in_part(progress.epoch, recipe):
                part = None  # before another takes its place: both would average the same gradients
                part = part_for_epoch(progress.epoch, run, task, interruption.check)
            if progress.order is None:
                progress.order = task.processes.agreed(draw_order(task.train.labels, recipe))
            for _ in train_rest_of_epoch(run, task, part, bar):
                if recipe.checkpoint_steps and progress.step % recipe.checkpoint_steps == 0:
                    save()
                interruption.check_together()
            end_epoch(run, task, part, interruption.check)
            save()
            interruption.check_together()


def progress_bar(run: Run, task: Task) -> tqdm:
    """Return a bar that counts training images; there is none where stderr is no terminal."""
    images = len(task.train.labels)
    seen, total = run.progress.images_seen(images), task.recipe.epochs * images
    disable = None if task.processes.leads else True
    return tqdm(total=total, initial=seen, unit="image", disable=disable, dynamic_ncols=True)


def train_rest_of_epoch(run: Run, task: Task, part: TrainedPart, bar: tqdm) -> Iterator[None]:
    """Train on what is left of the epoch's order, yielding after each update."""
    progress, recipe = run.progress, task.recipe
    bar.set_description(f"epoch {progress.epoch}")
    to_training_mode(part.trained, recipe)
    while progress.position < len(progress.order):
        indices = progress.order[progress.position :][: recipe.batch_size * recipe.accumulate]
        set_lr(run.optimiser, learning_rate(progress.step, task))
        update(run, task, part, indices)
        bar.update(len(indices))
        loss, accuracy = progress.loss_sum / progress.position, progress.correct / progress.position
        bar.set_postfix(loss=f"{loss:.3f}", accuracy=f"{accuracy:.3f}", refresh=False)
        yield


def to_training_mode(network: nn.Module, recipe: Finetune) -> None:
    """Let dropout drop, and batch normalisation use each batch's statistics unless those are frozen."""
    network.train()
    if recipe.freeze_statistics:
        for module in network.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):  # what all of torch's have in common
                module.eval()


def learning_rate(step: int, task: Task) -> float:
    """Return the head's learning rate in an update, counted from 0."""
    return task.recipe.lr * lr_factor(step, task.steps_per_epoch, task.recipe)


def end_epoch(run: Run, task: Task, part: TrainedPart, check: Callable[[], None]) -> None:
    """Run the val phase, add the epoch to the history, keep the weights if they are the best, and go to the next."""
    progress, recipe = run.progress, task.recipe
    trained = PhaseResult(progress.loss_sum / progress.position, progress.correct / progress.position)
    report(progress.epoch, "train", trained)
    own = task.processes.own(torch.arange(len(task.val.labels)))
    inputs = part.val.in_order(own, task.arithmetic.evaluation_batch)
    validated = over_all(task, run_phase(part.validated, with_checks(inputs, check), task.arithmetic), len(own))
    report(progress.epoch, "val", validated)
    refuse_val_divergence(run, validated.loss)
    progress.history.append(
        {
            "epoch": progress.epoch,
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "val_loss": validated.loss,
            "val_accuracy": validated.accuracy,
            "learning_rate": learning_rate(progress.step - 1, task),
        }
    )
    if recipe.keep == "best" and best_epoch(progress.history) == progress.epoch:
        run.keep_best(everything=recipe.thaw_epoch is not None)
    progress.epoch += 1
    progress.order, progress.position = None, 0
    progress.loss_sum, progress.correct = 0.0, 0


def over_all(task: Task, own: PhaseResult, images: int) -> PhaseResult:
    """Return the means over all processes' images, from those over this one's."""
    if task.processes.count == 1:
        return own
    sums = torch.tensor([own.loss * images, own.accuracy * images, images], dtype=torch.float64)
    loss, correct, total = task.processes.total(sums.to(task.arithmetic.device)).tolist()
    return PhaseResult(loss / total, round(correct) / total)


def with_checks(inputs: Iterable[Batch], check: Callable[[], None]) -> Iterator[Batch]:
    """Yield the batches, checking before each."""
    for batch in inputs:
        check()
        yield batch


def report(epoch: int, phase: str, result: PhaseResult) -> None:
    """Print the homework's line."""
    tqdm.write(f"Epoch:{epoch} -- Phase:{phase} -- Loss:{result.loss:.2f} -- Acc:{100 * result.accuracy:.2f}")
