"""Where the parameters of the network are: layer by layer, in normalisation, and in the head that is replaced.

The table of layers has convolutions and linear layers alone, and the published head has 1,000 outputs. These counts say
what is missing from the one and what changes with the other; each is compared with torch's modules.
"""

import re
from dataclasses import dataclass

from torch import nn

from plumbline.checks.claims import Checks
from plumbline.checks.multiply_adds import Layer, multiplying_layers, number_of_parameters
from plumbline.model.networks import shape_of_network
from stages.convolution.counting_conventions import NORMALISATIONS
from stages.convolution.network_table import IMAGENET_CLASSES

HOMEWORKS_CLASSES = 2  # of the head that problem 4 trains


@dataclass(frozen=True)
class NetworkParameters:
    """The parameters of a network as published, and what its layers are."""

    macs_in_layers: int  # multiply-adds of convolutions and linear layers; attention's are not among them
    in_layers: int  # parameters of those layers
    in_normalisation: int
    elsewhere: int  # as the positions that a vision transformer learns
    head_features: int  # inputs of the last layer
    on_shortcuts: int  # layers that only bring a block's input to the shape of its output

    @property
    def total(self) -> int:
        """Return the number of all parameters."""
        return self.in_layers + self.in_normalisation + self.elsewhere

    def of_head(self, outputs: int) -> int:
        """Return the parameters of a head of so many outputs: a weight for each feature, and a bias."""
        return (self.head_features + 1) * outputs


def check_parameters(checks: Checks, architecture: str, crop: int) -> NetworkParameters:
    """Count the parameters by place, and compare the counts with torch's networks of 1,000 and of two outputs."""
    network = shape_of_network(architecture, IMAGENET_CLASSES)
    layers = multiplying_layers(network, crop)
    parameters = parameters_by_place(network, layers)
    total, of_two = (
        number_of_parameters(shape_of_network(architecture, outputs))
        for outputs in (IMAGENET_CLASSES, HOMEWORKS_CLASSES)
    )
    claim = f"{architecture}'s parameters are those of its layers, of normalisation and of other modules"
    checks.expect_equal(parameters.total, total, claim)
    by_formula = total - parameters.of_head(IMAGENET_CLASSES) + parameters.of_head(HOMEWORKS_CLASSES)
    checks.expect_equal(by_formula, of_two, f"{architecture}'s parameters with another head are torch's", "two outputs")
    named = re.fullmatch(r"resnet(\d+)", architecture)
    if named:
        claim = f"{architecture}'s name counts its layers without those on shortcuts"
        checks.expect_equal(len(layers) - parameters.on_shortcuts, int(named[1]), claim)
    return parameters


def parameters_by_place(network: nn.Module, layers: list[Layer]) -> NetworkParameters:
    """Return the counts of a network of 1,000 outputs, whose last layer is its head."""
    in_layers = sum(layer.parameters for layer in layers)
    listed, in_normalisation, elsewhere = {layer.name for layer in layers}, 0, 0
    for name, module in network.named_modules():
        module_parameters = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if isinstance(module, NORMALISATIONS):
            in_normalisation += module_parameters
        elif name not in listed:
            elsewhere += module_parameters
    return NetworkParameters(
        macs_in_layers=sum(layer.macs for layer in layers),
        in_layers=in_layers,
        in_normalisation=in_normalisation,
        elsewhere=elsewhere,
        head_features=layers[-1].parameters // IMAGENET_CLASSES - 1,
        on_shortcuts=sum(".downsample." in layer.name for layer in layers),
    )
