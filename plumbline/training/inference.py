"""What a network makes of images, in batches and without gradients: logits, distances, or what its head takes."""

from collections.abc import Iterator

import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.model.head import head_name
from plumbline.model.unknown import HeadInput, NetworkWithDistance
from plumbline.training.device_and_precision import Compute
from plumbline.training.network_input import to_input


def inputs_of(images: torch.Tensor, transform: Transform, compute: Compute) -> Iterator[torch.Tensor]:
    """Yield the inputs (B, 3, crop, crop) of images, uint8 (N, resize, resize, 3), in order, on the device."""
    for start in range(0, len(images), compute.evaluation_batch_size):
        batch = images[start : start + compute.evaluation_batch_size]
        inputs = to_input(compute.send(batch), transform)
        yield inputs.contiguous(memory_format=compute.memory_format(training=False))


def logits_of(network: nn.Module, images: torch.Tensor, transform: Transform, compute: Compute) -> torch.Tensor:
    """Return the logits, float64 (N, classes), of images, uint8 (N, resize, resize, 3)."""
    network.eval()
    with torch.inference_mode(), compute.autocast():
        return torch.cat([network(inputs) for inputs in inputs_of(images, transform, compute)]).double().cpu()


def logits_and_distances(
    network: NetworkWithDistance, images: torch.Tensor, transform: Transform, compute: Compute
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits as `logits_of`, and how far away the images are, float32 (N,), on the device."""
    network.eval()
    with torch.inference_mode(), compute.autocast():
        logits, distances = zip(*map(network, inputs_of(images, transform, compute)), strict=True)
        return torch.cat(logits).double().cpu(), torch.cat(distances)


def logits_distances_and_features(
    network: NetworkWithDistance,
    directions: torch.Tensor,
    images: torch.Tensor,
    transform: Transform,
    compute: Compute,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return both as `logits_and_distances`, and the features along directions (F, K), on the device: (N, K)."""
    network.eval()
    with torch.inference_mode(), compute.autocast():
        outputs = [network.also_along(inputs, directions) for inputs in inputs_of(images, transform, compute)]
    logits, distances, features = map(torch.cat, zip(*outputs, strict=True))
    return logits.double().cpu(), distances, features


def logits_and_features(
    network: nn.Module, head: str, images: torch.Tensor, transform: Transform, compute: Compute
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits as `logits_of`, and what the head, named here, takes: (N, F), of several places the mean."""
    network.eval()
    head_input = HeadInput(network, head)
    try:
        with torch.inference_mode(), compute.autocast():
            both = [head_input.beside_logits(network, inputs) for inputs in inputs_of(images, transform, compute)]
    finally:
        head_input.remove()
    logits, features = map(torch.cat, zip(*both, strict=True))
    return logits.double().cpu(), features


def features_of(
    network: nn.Module, architecture: str, images: torch.Tensor, transform: Transform, compute: Compute
) -> torch.Tensor:
    """Return what the network's head takes, float64 (N, features), of images, uint8 (N, resize, resize, 3)."""
    features = []

    def keep(module: nn.Module, arguments: tuple[torch.Tensor]) -> None:
        features.append(arguments[0].flatten(1).double().cpu())

    handle = network.get_submodule(head_name(architecture)).register_forward_pre_hook(keep)
    try:
        logits_of(network, images, transform, compute)
    finally:
        handle.remove()
    return torch.cat(features)
