"""What is trained on, and how: all that does not change along the way."""

import dataclasses
import sys
from dataclasses import dataclass

import torch

from plumbline.model.description import Transform
from plumbline.params.finetune import Augment, Finetune
from plumbline.training.arithmetic import Arithmetic
from plumbline.training.splits import Split
from stages.finetune.processes import ALONE, Processes
from stages.finetune.sampling import images_to_overfit

NO_CHANGES = Augment(flip=0.0, smallest_crop=None, policy="none", mixup=0.0, cutmix=0.0)
LARGEST_SHARE = 0.5  # of the GPU's free memory, that the images may take


@dataclass(frozen=True)
class Task:
    """The images, the network's kind, and the recipe."""

    train: Split
    val: Split
    architecture: str
    classes: int
    transform: Transform
    recipe: Finetune
    arithmetic: Arithmetic
    class_weights: torch.Tensor | None  # (classes,), on the device; None where all count alike
    processes: Processes = ALONE  # that train together

    @property
    def steps_per_epoch(self) -> int:
        """Updates; the last of an epoch may have fewer images."""
        return -(-len(self.train.labels) // (self.recipe.batch_size * self.recipe.accumulate))


def task_to_overfit(task: Task, seed: int) -> Task:
    """Return a task that trains and validates on the same few images, as they are: a loss that stays is a bug."""
    recipe = task.recipe.model_copy(update={"augment": NO_CHANGES})
    images = recipe.overfit_batches * recipe.batch_size
    few = part(task.train, images_to_overfit(task.train.labels, images, seed))
    print(
        f"warning: finetune.overfit_batches is {recipe.overfit_batches}: trains and validates on the same "
        f"{len(few.labels)} images, for debugging; what it writes is no result",
        file=sys.stderr,
    )
    return dataclasses.replace(task, train=few, val=few, recipe=recipe)


def part(split: Split, indices: torch.Tensor) -> Split:
    """Return the images with these indices."""
    chosen = indices.tolist()
    paths, hashes = ([values[i] for i in chosen] for values in (split.paths, split.sha256))
    return Split(split.images[indices], split.labels[indices], paths, hashes)


def near_the_network(splits: list[Split], device: torch.device) -> list[Split]:
    """Return the splits with their pixels on the GPU if they fit; else, and without a GPU, where they are."""
    size = sum(split.images.nbytes for split in splits)
    if device.type != "cuda" or size > LARGEST_SHARE * torch.cuda.mem_get_info(device)[0]:
        return splits
    return [dataclasses.replace(split, images=split.images.to(device)) for split in splits]
