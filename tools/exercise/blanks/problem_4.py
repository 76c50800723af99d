"""Problem 4: the two phases of an epoch.

`batches` is an iterable of pairs: images and labels, class numbers from 0 on. The last batch may be smaller.
The loss is the cross-entropy. Return the mean loss over all images, and the share of them that is classified right.
"""

from collections.abc import Iterable

import torch
from torch import nn

Batches = Iterable[tuple[torch.Tensor, torch.Tensor]]


def train_phase(network: nn.Module, batches: Batches, optimiser: torch.optim.Optimizer) -> tuple[float, float]:
    """Train the network in place for one epoch, one update a batch; loss and accuracy are those while it changes."""
    raise NotImplementedError


def val_phase(network: nn.Module, batches: Batches) -> tuple[float, float]:
    """Evaluate the network, which stays as it is."""
    raise NotImplementedError
