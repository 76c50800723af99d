"""What a network makes of a split's images, in batches and without gradients: logits, or what its head takes."""

from collections.abc import Iterator

import torch
from torch import nn

from plumbline.arithmetic import Arithmetic
from plumbline.batches import batches, to_input
from plumbline.model_file import Transform
from plumbline.networks import head_keys
from plumbline.prepared import Split


def inputs_of(split: Split, transform: Transform, arithmetic: Arithmetic) -> Iterator[torch.Tensor]:
    """Yield the inputs (B, 3, crop, crop) of a split's images in their order, on the device."""
    order = torch.arange(len(split.labels))
    for images, _ in batches(split.images, split.labels, order, arithmetic.evaluation_batch):
        inputs = to_input(images.to(arithmetic.device), transform)
        yield inputs.contiguous(memory_format=arithmetic.layout(training=False))


def logits_of(network: nn.Module, split: Split, transform: Transform, arithmetic: Arithmetic) -> torch.Tensor:
    """Return the logits, float64 (N, classes), of a split's images in their order."""
    network.eval()
    with torch.inference_mode(), arithmetic.autocast():
        return torch.cat([network(inputs).double().cpu() for inputs in inputs_of(split, transform, arithmetic)])


def features_of(
    network: nn.Module, architecture: str, split: Split, transform: Transform, arithmetic: Arithmetic
) -> torch.Tensor:
    """Return what the network's head takes, float64 (N, features), of a split's images in their order."""
    (head,) = {key.rpartition(".")[0] for key in head_keys(architecture)}
    features = []

    def keep(module: nn.Module, arguments: tuple[torch.Tensor]) -> None:
        features.append(arguments[0].flatten(1).double().cpu())

    handle = network.get_submodule(head).register_forward_pre_hook(keep)
    try:
        logits_of(network, split, transform, arithmetic)
    finally:
        handle.remove()
    return torch.cat(features)
