"""Give what is trained its inputs, batch by batch: pixels made into inputs, or activations computed once."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.training.arithmetic import Arithmetic
from plumbline.training.batches import batches, to_input
from plumbline.training.splits import Split
from stages.finetune.augmentation import BatchChange, ImageChange

GIB = 2**30

Batch = tuple[torch.Tensor, torch.Tensor]  # inputs (B, ...); labels (B,), or shares of classes (B, classes)


class Inputs(Protocol):
    """The inputs of one split."""

    def in_order(self, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield the images with these indices, on the device; the last batch may be smaller."""


@dataclass(frozen=True)
class PixelInputs:
    """Pixels, changed at random where that is asked for, as inputs of the network or of what is trained of it."""

    split: Split
    transform: Transform
    arithmetic: Arithmetic
    change_images: ImageChange | None = None
    change_batch: BatchChange | None = None
    frozen: nn.Module | None = None

    def in_order(self, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield the images with these indices, on the device; the last batch may be smaller."""
        for images, labels in batches(self.split.images, self.split.labels, order, batch_size):
            images, labels = images.to(self.arithmetic.device), labels.to(self.arithmetic.device)
            inputs = to_input(self.change_images(images) if self.change_images else images, self.transform)
            inputs = inputs.to(self.arithmetic.weights_precision)
            if self.change_batch:
                inputs, labels = self.change_batch(inputs, labels)
            yield (self.activations(inputs) if self.frozen else inputs), labels

    def activations(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the frozen part makes of inputs (B, 3, H, W)."""
        with torch.no_grad(), self.arithmetic.autocast():
            return self.frozen(inputs.contiguous(memory_format=self.arithmetic.layout(training=False)))


@dataclass(frozen=True)
class CachedInputs:
    """What the frozen part made of a split's images, (N, ...), once for all epochs."""

    activations: torch.Tensor
    labels: torch.Tensor

    def in_order(self, order: torch.Tensor, batch_size: int) -> Iterator[Batch]:
        """Yield the images with these indices, on the device; the last batch may be smaller."""
        yield from batches(self.activations, self.labels, order.to(self.labels.device), batch_size)


def cached(inputs: PixelInputs, check: Callable[[], None]) -> CachedInputs:
    """Compute the activations of a whole split; `check` is called now and then, and may raise."""
    labels = inputs.split.labels.to(inputs.arithmetic.device)
    pieces = []
    for activations, _ in inputs.in_order(torch.arange(len(labels)), inputs.arithmetic.evaluation_batch):
        check()
        pieces.append(activations)
    return CachedInputs(torch.cat(pieces), labels)


def fits_in_cache(splits: list[PixelInputs], cache_gib: float) -> bool:
    """Say whether the activations of all splits take at most so much memory; print a line if they do not."""
    activations, _ = next(splits[0].in_order(torch.arange(1), 1))
    size = activations.nbytes * sum(len(inputs.split.labels) for inputs in splits) / GIB
    if size > cache_gib:
        print(
            f"the frozen layers' activations would take {size:.3g} GiB, more than finetune.cache_gib, {cache_gib:g}: "
            "they are computed anew in each epoch",
            file=sys.stderr,
        )
    return size <= cache_gib
