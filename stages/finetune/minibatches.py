"""Make minibatches: pixels that become the network's inputs, or activations of frozen layers, computed once.

What a minibatch holds is decided elsewhere: `sampling` orders the images, `augmentation` changes them.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.training.compute import Compute
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split
from stages.finetune.augmentation import BatchChange, ImageChange

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
        device = self.compute.device
        images, labels = self.split.images[indices].to(device), self.split.labels[indices].to(device)
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

    def batch(self, indices: torch.Tensor) -> Batch:
        """Return the images with these indices (B,), in this order, on the device."""
        indices = indices.to(self.labels.device)
        return self.activations[indices], self.labels[indices]


def in_order(batches: Batches, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
    """Yield the images with these indices (N,), `batch_size` at a time; the last batch may be smaller."""
    for indices in order.split(batch_size) if len(order) else ():
        yield batches.batch(indices)


def cached(batches: PixelBatches, check: Callable[[], None]) -> CachedBatches:
    """Compute the activations of a whole split; `check` is called before each batch, and may raise."""
    pieces = []
    for indices in torch.arange(len(batches.split.labels)).split(batches.compute.evaluation_batch_size):
        check()
        pieces.append(batches.batch(indices)[0])
    return CachedBatches(torch.cat(pieces), batches.split.labels.to(batches.compute.device))


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
