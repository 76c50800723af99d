"""Say which part of the network is trained in an epoch, and on what: all of it, or what is behind the frozen layers."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import nn

from plumbline.params.finetune import Finetune
from stages.finetune.augmentation import batch_changes, changes_anything, image_changes
from stages.finetune.freezing import Cut, cut_network
from stages.finetune.inputs import Inputs, PixelInputs, cached, fits_in_cache
from stages.finetune.state import Run
from stages.finetune.task import Task


@dataclass(frozen=True)
class TrainedPart:
    """What is trained from one epoch to another, of the network and of its moving average, and the inputs of both."""

    is_frozen_in_part: bool
    trained: nn.Module
    validated: nn.Module  # the same part of the moving average, if there is one
    train: Inputs
    val: Inputs


def is_frozen_in_part(epoch: int, recipe: Finetune) -> bool:
    """Say whether some layers are frozen in an epoch, counted from 0."""
    return recipe.freeze is not None and (recipe.thaw_epoch is None or epoch < recipe.thaw_epoch)


def part_for_epoch(epoch: int, run: Run, task: Task, check: Callable[[], None]) -> TrainedPart:
    """Prepare what is trained from this epoch on; computes the frozen layers' activations, if they stay the same."""
    augment = task.recipe.augment
    val = PixelInputs(task.val, task.transform, task.arithmetic)
    train = PixelInputs(
        task.train,
        task.transform,
        task.arithmetic,
        image_changes(augment, task.transform.crop),
        batch_changes(augment, task.classes),
    )
    if not is_frozen_in_part(epoch, task.recipe):
        run.train_all()
        return TrainedPart(False, task.processes.together(run.network), run.validated_network, train, val)
    cut = cut_network(run.network, task.architecture, task.recipe.freeze)
    run.train_only(cut.trained_keys)
    train, val = inputs_behind(cut, train, val, task.recipe, check)
    trained = task.processes.together(cut.trained)
    if run.average is None:
        return TrainedPart(True, trained, cut.trained, train, val)
    of_average = cut_network(run.average.module, task.architecture, task.recipe.freeze)
    return TrainedPart(True, trained, of_average.trained, train, val)


def inputs_behind(
    cut: Cut, train: PixelInputs, val: PixelInputs, recipe: Finetune, check: Callable[[], None]
) -> tuple[Inputs, Inputs]:
    """Return the inputs of the trained part: computed once where the images stay the same and memory allows."""
    train, val = replace(train, frozen=cut.frozen), replace(val, frozen=cut.frozen)
    if changes_anything(recipe.augment) or not fits_in_cache([train, val], recipe.cache_gib):
        return train, val
    return cached(train, check), cached(val, check)
