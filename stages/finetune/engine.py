"""Train a run from wherever it stands to its last epoch, by the homework's two phases.

Each epoch has a train phase, in training mode, whose loss and accuracy are running averages while the weights
change; then a val phase, in evaluation mode. A run that is interrupted saves its state between two updates; what it
then does is what it would have done.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import nn
from tqdm import tqdm

from plumbline import params
from plumbline.arithmetic import Arithmetic
from plumbline.batches import batches, to_input
from plumbline.errors import UserError
from plumbline.model_file import Transform
from plumbline.prepared import Split
from plumbline.training import PhaseResult, classify, run_phase
from stages.finetune.recipe import lr_factor, set_lr
from stages.finetune.state import Run

EVALUATION_BATCH = 64  # images; but for rounding the result does not depend on it
NAMED_IMAGES = 3  # of a batch whose loss is not finite


@dataclass(frozen=True)
class Task:
    """What is trained on, and how; it does not change along the way."""

    splits: dict[str, Split]
    transform: Transform
    recipe: params.Finetune
    arithmetic: Arithmetic

    def inputs(self, name: str, order: torch.Tensor, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield a split's inputs and labels in the given order, batch by batch, on the device."""
        split, device = self.splits[name], self.arithmetic.device
        for images, labels in batches(split.images, split.labels, order, batch_size):
            yield to_input(images.to(device), self.transform), labels.to(device)


def train(run: Run, task: Task, save: Callable[[], None], asked_to_end: Callable[[], bool]) -> bool:
    """Train to the last epoch, saving after each one and every `checkpoint_steps` updates.

    Returns False if it was asked to end: the state is then saved. Raises UserError for a loss that is not finite.
    """
    recipe, progress = task.recipe, run.progress
    images = len(task.splits["train"].labels)
    seen = progress.epoch * images + progress.position
    with tqdm(total=recipe.epochs * images, initial=seen, unit="image", disable=None) as bar:
        while progress.epoch < recipe.epochs:
            if progress.order is None:
                progress.order = torch.randperm(images)
            for _ in train_rest_of_epoch(run, task, bar):
                ending = asked_to_end()
                if ending or (recipe.checkpoint_steps and progress.step % recipe.checkpoint_steps == 0):
                    save()
                if ending:
                    return False
            end_epoch(run, task)
            save()
            if asked_to_end():
                return progress.epoch == recipe.epochs
    return True


def train_rest_of_epoch(run: Run, task: Task, bar: tqdm) -> Iterator[None]:
    """Train on what is left of the epoch's order, yielding after each update."""
    progress, recipe = run.progress, task.recipe
    bar.set_description(f"epoch {progress.epoch}")
    left = progress.order[progress.position :]
    steps_per_epoch = -(-len(progress.order) // recipe.batch_size)
    for inputs, labels in task.inputs("train", left, recipe.batch_size):
        run.network.train()
        set_lr(run.optimiser, recipe.lr * lr_factor(progress.step, steps_per_epoch, recipe))
        logits, loss = classify(run.network, inputs, labels, task.arithmetic, label_smoothing=recipe.label_smoothing)
        if not math.isfinite(loss.item()):
            raise UserError(diverged(run, task, loss.item(), len(labels)))
        run.optimiser.zero_grad()
        loss.backward()
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(run.network.parameters(), recipe.clip_norm)
        run.optimiser.step()
        progress.loss_sum += loss.item() * len(labels)
        progress.correct += int((logits.argmax(dim=1) == labels).sum())
        progress.position += len(labels)
        progress.step += 1
        bar.update(len(labels))
        bar.set_postfix(loss=progress.loss_sum / progress.position, accuracy=progress.correct / progress.position)
        yield


def diverged(run: Run, task: Task, loss: float, batch: int) -> str:
    """Return the line that says where a loss stopped being finite, on which images, and what to do."""
    progress, lr = run.progress, run.optimiser.param_groups[0]["lr"]
    indices = progress.order[progress.position : progress.position + batch].tolist()
    paths = [task.splits["train"].paths[i] for i in indices]
    more = f" and {len(paths) - NAMED_IMAGES} more" if len(paths) > NAMED_IMAGES else ""
    return (
        f"the train loss of epoch {progress.epoch} is {loss}: training diverged; lower finetune.lr, which is {lr:g} "
        f"(batch {progress.position // task.recipe.batch_size}: {', '.join(paths[:NAMED_IMAGES])}{more})"
    )


def end_epoch(run: Run, task: Task) -> None:
    """Run the val phase, add the epoch to the history, and turn to the next."""
    progress = run.progress
    trained = PhaseResult(progress.loss_sum / progress.position, progress.correct / progress.position)
    report(progress.epoch, "train", trained)
    order = torch.arange(len(task.splits["val"].labels))
    validated = run_phase(run.network, task.inputs("val", order, EVALUATION_BATCH), task.arithmetic)
    report(progress.epoch, "val", validated)
    if not math.isfinite(validated.loss):
        raise UserError(
            f"the val loss of epoch {progress.epoch} is {validated.loss}: training diverged; lower finetune.lr"
        )
    progress.history.append(
        {
            "epoch": progress.epoch,
            "train_loss": trained.loss,
            "train_accuracy": trained.accuracy,
            "val_loss": validated.loss,
            "val_accuracy": validated.accuracy,
            "learning_rate": run.optimiser.param_groups[0]["lr"],
        }
    )
    progress.epoch += 1
    progress.order, progress.position = None, 0
    progress.loss_sum, progress.correct = 0.0, 0


def report(epoch: int, phase: str, result: PhaseResult) -> None:
    """Print the homework's line."""
    tqdm.write(f"Epoch:{epoch} -- Phase:{phase} -- Loss:{result.loss:.2f} -- Acc:{100 * result.accuracy:.2f}")
