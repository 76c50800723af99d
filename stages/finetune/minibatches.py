"""Make minibatches of images: pixels that become the inputs of the network, or of its layers behind the frozen ones.

`sampling` orders the images, `augmentation` changes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.training.compute import Compute
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split
from stages.finetune.augmentation import BatchChange, ImageChange

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


def in_order(batches: Batches, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
    """Yield the images with these indices (N,), `batch_size` at a time; the last batch may be smaller."""
    for indices in order.split(batch_size) if len(order) else ():
        yield batches.batch(indices)
