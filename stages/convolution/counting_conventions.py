"""Count one network by several conventions, which explains why tools report different totals."""

from dataclasses import dataclass

import torch
from torch import nn

from plumbline.checks.multiply_adds import MULTIPLYING
from plumbline.model.networks import run_on_shapes

NORMALISATIONS = (nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid)
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True)
class Counts:
    """Operations of one image's forward pass, kind by kind."""

    macs: int  # of convolutions, linear layers and attention
    bias_additions: int  # one for each output entry of a layer with bias
    normalisation: int  # FLOPs: one multiplication and one addition for each entry, statistics folded in
    activations: int  # FLOPs: one for each entry
    pooling: int  # FLOPs: one for each entry that goes in

    def by_convention(self) -> dict[str, int]:
        """Return the total under each convention, from the narrowest to the widest."""
        flops = 2 * self.macs
        with_bias = flops + self.bias_additions
        with_normalisation = with_bias + self.normalisation
        return {
            'MACs of convolutions, linear layers and attention (the homework; torchvision\'s "GFLOPS")': self.macs,
            "FLOPs, two for each MAC (torch's FlopCounterMode)": flops,
            "and the additions of biases": with_bias,
            "and normalisation, two for each entry": with_normalisation,
            "and activations, one for each entry, and pooling, one for each entry that goes in": (
                with_normalisation + self.activations + self.pooling
            ),
        }


def counts_of(network: nn.Module, crop: int, macs: int) -> Counts:
    """Return the operations of a network on the meta device for one image of crop x crop pixels.

    Activations and pooling are counted where they are modules; those called as functions are not.
    """
    counts = {"bias_additions": 0, "normalisation": 0, "activations": 0, "pooling": 0}

    def add(module: nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(module, MULTIPLYING) and module.bias is not None:
            counts["bias_additions"] += output.numel()
        elif isinstance(module, NORMALISATIONS):
            counts["normalisation"] += 2 * output.numel()
        elif isinstance(module, ACTIVATIONS):
            counts["activations"] += output.numel()
        elif isinstance(module, POOLINGS):
            counts["pooling"] += inputs[0].numel()

    hooks = [module.register_forward_hook(add) for module in network.modules()]
    try:
        run_on_shapes(network, crop)
    finally:
        for hook in hooks:
            hook.remove()
    return Counts(macs, **counts)
