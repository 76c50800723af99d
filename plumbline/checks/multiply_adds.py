"""List the layers of a network that multiply: their shapes, parameters and multiply-adds (MACs)."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

MULTIPLYING = (nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Layer:
    """One convolution or linear layer, as one image passes through it."""

    name: str  # as in the network's state_dict, without .weight
    kind: str  # "convolution" or "linear"
    input_shape: tuple[int, ...]  # without the batch: (channels, height, width), or (..., features)
    output_shape: tuple[int, ...]
    parameters: int  # weights and biases
    macs: int  # of the forward pass, bias not counted
    input_gradient: bool  # whether training needs the gradient of its input: not of the image, nor of a constant


def layer_macs(layer: nn.Module, output: torch.Tensor) -> int:
    """Return the multiply-adds of a convolution or linear layer that gave this output, for one image."""
    if isinstance(layer, nn.Conv2d):
        products = layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels // layer.groups
    else:
        products = layer.in_features
    return output.numel() * products


def multiplying_layers(network: nn.Module, crop: int) -> list[Layer]:
    """Return the layers of a network on the meta device, in the order in which one image of crop x crop meets them."""
    layers, hooks = [], []

    def add(name: str, module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        layers.append(
            Layer(
                name=name,
                kind="convolution" if isinstance(module, nn.Conv2d) else "linear",
                input_shape=tuple(inputs[0].shape[1:]),
                output_shape=tuple(output.shape[1:]),
                parameters=number_of_parameters(module),
                macs=layer_macs(module, output),
                input_gradient=inputs[0].requires_grad,
            )
        )

    for name, module in network.named_modules():
        if isinstance(module, MULTIPLYING):
            hooks.append(
                module.register_forward_hook(
                    lambda module, inputs, output, name=name: add(name, module, inputs, output)
                )
            )
    try:
        network.eval()(torch.empty(1, 3, crop, crop, device="meta"))
    finally:
        for hook in hooks:
            hook.remove()
    return layers


def counted_macs(network: nn.Module, crop: int) -> tuple[int, int]:
    """Return the multiply-adds for one image as torch counts them: of all, and outside of the layers (attention).

    The network is on the meta device. torch counts two FLOPs for each.
    """
    image = torch.empty(1, 3, crop, crop, device="meta")
    with FlopCounterMode(display=False, depth=None) as counter:
        network.eval()(image)
    root = type(network).__name__
    layers = {f"{root}.{name}" for name, module in network.named_modules() if isinstance(module, MULTIPLYING)}
    within = sum(sum(flops.values()) for name, flops in counter.get_flop_counts().items() if name in layers)
    total = counter.get_total_flops()
    return total // 2, (total - within) // 2


def number_of_parameters(module: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters())
