"""Make minibatches of images, and decide which part of the network takes them.

`part_for_epoch` gives the training loop what it trains: the whole network, or its part behind `finetune.freeze`. The
frozen part's outputs, the activations, are computed once where the images stay the same and memory allows.
`sampling_order` draws the order of the images, `augmentation` changes them, `frozen_layers` cuts the network.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.params.finetune import Finetune
from plumbline.training.device_and_precision import Compute
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split
from stages.finetune.augmentation import BatchChange, ImageChange, batch_changes, changes_anything, image_changes
from stages.finetune.frozen_layers import Cut, cut_network
from stages.finetune.run_state import Run
from stages.finetune.training_setup import Setup

GIB = 2**30

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs (B, ...); labels (B,), or shares of classes (B, classes)


class Batches(Protocol):
    """The minibatches of one split."""

    def batch(self, indices: torch.Tensor) -> Batch:
        """Return the images with these indices (B,), in this order, on the device."""


@dataclass(frozen=True)
class PixelBatches:
    """Minibatches of pixels: cut, changed at random if training asks for it, normalised."""

    split: Split
    transform: Transform
    compute: Compute
    change_images: ImageChange | None = None
    change_batch: BatchChange | None = None
    frozen: nn.Module | None = None  # the layers whose outputs are wanted, in place of the network's inputs

    def batch(self, indices: torch.Tensor) -> Batch:
        """Return the images with these indices (B,), in this order, on the device."""
        of_images = self.compute.send(indices) if self.split.images.is_cuda else indices
        images, labels = self.compute.send(self.split.images[of_images]), self.compute.send(self.split.labels[indices])
        inputs = to_input(self.change_images(images) if self.change_images else images, self.transform)
        inputs = inputs.to(self.compute.weights_dtype)
        if self.change_batch:
            inputs, labels = self.change_batch(inputs, labels)
        return (self.activations(inputs) if self.frozen else inputs), labels

    def activations(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs of the frozen layers for inputs (B, 3, H, W)."""
        with torch.no_grad(), self.compute.autocast():
            return self.frozen(inputs.contiguous(memory_format=self.compute.memory_format(training=False)))


@dataclass(frozen=True)
class CachedBatches:
    """Minibatches of a split's activations (N, ...), which the frozen layers computed once for all epochs."""

    activations: torch.Tensor
    labels: torch.Tensor
    compute: Compute

    def batch(self, indices: torch.Tensor) -> Batch:
        """Return the images with these indices (B,), in this order, on the device."""
        indices = self.compute.send(indices)
        return self.activations[indices], self.labels[indices]


@dataclass(frozen=True)
class TrainedPart:
    """What is trained from one epoch to another, of the network and of its moving average, and the batches of both."""

    is_frozen_in_part: bool
    trained: nn.Module
    validated: nn.Module  # the same part of the moving average, if there is one
    train: Batches
    val: Batches


def is_frozen_in_part(epoch: int, recipe: Finetune) -> bool:
    """Return whether some layers are frozen in an epoch, counted from 0."""
    return recipe.freeze is not None and (recipe.thaw_epoch is None or epoch < recipe.thaw_epoch)


def part_for_epoch(epoch: int, run: Run, setup: Setup, check: Callable[[], None]) -> TrainedPart:
    """Prepare what is trained from this epoch on; computes the frozen layers' activations, if they stay the same."""
    augment = setup.recipe.augment
    val = PixelBatches(setup.val, setup.transform, setup.compute)
    train = PixelBatches(
        setup.train,
        setup.transform,
        setup.compute,
        image_changes(augment, setup.transform.crop, setup.transform.interpolation),
        batch_changes(augment, setup.classes),
    )
    if not is_frozen_in_part(epoch, setup.recipe):
        run.train_all()
        return TrainedPart(False, setup.distributed.data_parallel(run.network), run.validated_network, train, val)
    cut = cut_network(run.network, setup.architecture, setup.recipe.freeze)
    run.train_only(cut.trained_keys)
    train, val = batches_behind(cut, train, val, setup.recipe, check)
    trained = setup.distributed.data_parallel(cut.trained)
    if run.ema is None:
        return TrainedPart(True, trained, cut.trained, train, val)
    of_average = cut_network(run.ema.module, setup.architecture, setup.recipe.freeze)
    return TrainedPart(True, trained, of_average.trained, train, val)


def batches_behind(
    cut: Cut, train: PixelBatches, val: PixelBatches, recipe: Finetune, check: Callable[[], None]
) -> tuple[Batches, Batches]:
    """Return the trained part's batches: computed once where the images stay the same and memory allows."""
    train, val = replace(train, frozen=cut.frozen), replace(val, frozen=cut.frozen)
    if changes_anything(recipe.augment) or not fits_in_cache([train, val], recipe.cache_gib):
        return train, val
    return cached(train, check), cached(val, check)


def cached(batches: PixelBatches, check: Callable[[], None]) -> CachedBatches:
    """Compute the activations of a whole split; `check` is called before each batch, and may raise."""
    pieces = []
    for indices in torch.arange(len(batches.split.labels)).split(batches.compute.evaluation_batch_size):
        check()
        pieces.append(batches.batch(indices)[0])
    labels = batches.compute.send(batches.split.labels)
    return CachedBatches(torch.cat(pieces), labels, batches.compute)


def fits_in_cache(splits: list[PixelBatches], cache_gib: float) -> bool:
    """Return whether the activations of all splits take at most so much memory; print a line if they do not."""
    activations, _ = splits[0].batch(torch.arange(1))
    size = activations.nbytes * sum(len(batches.split.labels) for batches in splits) / GIB
    if size > cache_gib:
        print(
            f"the frozen layers' activations would take {size:.3g} GiB, more than finetune.cache_gib, {cache_gib:g}: "
            "they are computed anew in each epoch",
            file=sys.stderr,
        )
    return size <= cache_gib


def in_order(batches: Batches, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
    """Yield the images with these indices (N,), `batch_size` at a time; the last batch may be smaller."""
    for indices in order.split(batch_size) if len(order) else ():
        yield batches.batch(indices)
