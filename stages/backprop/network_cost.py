"""Count the multiply-adds of both passes of the network as it is published, with 1,000 outputs, layer by layer.

A layer's backward pass multiplies twice as much as its forward pass: once for the gradient of its weights and
once for that of its input. Layers whose input is the image or a constant do not need the latter.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from plumbline.checks.claims import Checks
from plumbline.checks.multiply_adds import Layer, counted_macs, multiplying_layers
from plumbline.model.head import refuse_unserved
from plumbline.model.networks import shape_of_network

CLASSES = 1000  # ImageNet's, for which torchvision publishes its numbers
HOMEWORKS_CLASSES = 2  # of the head that problem 4 trains


@dataclass(frozen=True)
class LayerPasses:
    """What one layer costs in both passes, in MACs for one image."""

    layer: Layer
    forward: int
    backward: int


def passes_of_layers(layers: list[Layer]) -> list[LayerPasses]:
    """Return each layer's cost: backward is twice forward, or once where the input's gradient is not needed."""
    return [LayerPasses(each, each.macs, each.macs * (2 if each.input_gradient else 1)) for each in layers]


def backward_macs(network: nn.Module, crop: int) -> int:
    """Return the MACs of the backward pass of a network on the meta device, as torch counts them."""
    logits = network.eval()(torch.empty(1, 3, crop, crop, device="meta"))
    with FlopCounterMode(display=False) as counter:
        logits.sum().backward()
    return counter.get_total_flops() // 2


def has_groups(network: nn.Module) -> bool:
    """Whether a convolution has groups: torch's counter counts its backward pass as if it had none."""
    return any(isinstance(module, nn.Conv2d) and module.groups > 1 for module in network.modules())


def check_network_cost(
    checks: Checks, architecture: str, crop: int
) -> tuple[dict[str, int | float], list[LayerPasses]]:
    """Compare the layers' costs with torch's count; return the metrics and the layers.

    What a network multiplies outside of its layers (attention) is as torch counts it, and twice that in the backward
    pass, for both factors of a product need a gradient.
    """
    refuse_unserved(architecture, crop)
    forward, backward, passes = cost_of_network(checks, architecture, crop, CLASSES)
    forward_2, backward_2, _ = cost_of_network(checks, architecture, crop, HOMEWORKS_CLASSES)
    metrics = {
        "network_forward_macs": forward,
        "network_backward_macs": backward,
        "network_backward_over_forward": backward / forward,
        "network_backward_over_forward_of_two_outputs": backward_2 / forward_2,
    }
    return metrics, passes


def cost_of_network(checks: Checks, architecture: str, crop: int, outputs: int) -> tuple[int, int, list[LayerPasses]]:
    """Compare the cost of a network with so many outputs with torch's; return both passes' cost, and each layer's."""
    network = shape_of_network(architecture, outputs)
    passes = passes_of_layers(multiplying_layers(network, crop))
    counted_forward, outside = counted_macs(network, crop)
    forward = sum(each.forward for each in passes) + outside
    backward = sum(each.backward for each in passes) + 2 * outside
    claim, where = f"{architecture}'s MACs of the", f"at {crop} pixels with {outputs} outputs"
    checks.expect_equal(
        forward, counted_forward, f"{claim} forward pass are the same by formula and as torch counts", where
    )
    if not has_groups(network):
        counted = backward_macs(network, crop)
        checks.expect_equal(
            backward, counted, f"{claim} backward pass are the same by formula and as torch counts", where
        )
    ratio = backward / forward
    checks.expect(1 < ratio <= 2, f"{claim} backward pass are one to two times the forward pass's", f"{ratio:.4f}")
    return forward, backward, passes
