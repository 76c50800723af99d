"""Every layer of the network as published: shape, parameters, multiply-adds, receptive field; and the totals.

The published head has 1,000 outputs. The totals are compared with torch's count and, for torchvision's classifiers,
with what torchvision publishes: parameters, and multiply-adds under the name of GFLOPS. timm's networks carry no such
numbers; the tests compare their parameters with timm's table of results.
"""

from dataclasses import dataclass

import pandas as pd
import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from plumbline.checks.claims import Checks
from plumbline.checks.multiply_adds import Layer, counted_macs, multiplying_layers, number_of_parameters
from plumbline.model.head import refuse_unserved
from plumbline.model.networks import shape_of_network
from plumbline.model.timm_names import is_timm
from stages.convolution.receptive_field import receptive_fields

IMAGENET_CLASSES = 1000  # torchvision publishes its numbers for them
# Of the auxiliary head, which is used only in training from scratch and is left out here. torchvision's count of
# parameters includes inception_v3's, its count of multiply-adds does not; both exclude googlenet's two.
AUXILIARY_PARAMETERS = {"inception_v3": 3_326_696}


def layer_table(layers: list[Layer], fields: dict[str, int] | None) -> pd.DataFrame:
    """Return one row a layer, in the order of the forward pass; an unknown receptive field is empty."""
    total = sum(layer.macs for layer in layers)
    return pd.DataFrame(
        {
            "layer": layer.name,
            "kind": layer.kind,
            "output_shape": "x".join(map(str, layer.output_shape)),
            "parameters": layer.parameters,
            "macs": layer.macs,
            "receptive_field": (fields or {}).get(layer.name, ""),
            "share": layer.macs / total,
        }
        for layer in layers
    )


def check_network(checks: Checks, architecture: str, crop: int) -> tuple[dict[str, int], pd.DataFrame]:
    """Compare the totals with torch's and torchvision's, and return the metrics and the table."""
    refuse_unserved(architecture, crop)
    network = shape_of_network(architecture, IMAGENET_CLASSES)
    layers, (counted, outside) = multiplying_layers(network, crop), counted_macs(network, crop)
    in_layers, parameters = sum(layer.macs for layer in layers), number_of_parameters(network)
    claim = f"{architecture}'s layers have the same MACs by formula and as torch counts"
    checks.expect_equal(in_layers, counted - outside, claim, f"at {crop} pixels, and {outside} in attention")
    if not is_timm(architecture):
        check_published(checks, architecture, network)
    # How far timm's attention reaches (windows, grids) cannot be seen in its functions' names.
    fields = None if is_timm(architecture) and outside else receptive_fields(network, crop)
    table = layer_table(layers, fields)
    metrics = {"network_macs": counted, "network_parameters": parameters, "network_layers": len(layers)}
    return metrics, table


def check_published(checks: Checks, architecture: str, network: nn.Module) -> None:
    """Compare the totals with what torchvision publishes, at the image size of weights that the network takes."""
    all_weights = torchvision.models.get_model_weights(architecture)
    published = next(each for each in map(as_published, all_weights) if each.takes(network))
    parameters = number_of_parameters(network) + parameters_left_out(architecture)
    checks.expect_equal(
        parameters, published.parameters, f"{architecture}'s parameters are as many as torchvision says"
    )
    billions = round(counted_macs(network, published.crop)[0] / 1e9, 3)
    claim = f"{architecture}'s MACs are torchvision's \"GFLOPS\""
    checks.expect_equal(billions, published.billions, claim, f"at {published.crop} pixels, in 1e9")


@dataclass(frozen=True)
class Published:
    """The numbers of one set of weights."""

    crop: int  # pixels, height and width of the images it was made for
    parameters: int
    billions: float  # 1e9 multiply-adds, to three decimals

    def takes(self, network: nn.Module) -> bool:
        """Whether the network takes images of that size: a vision transformer takes only one."""
        return getattr(network, "image_size", self.crop) == self.crop


def as_published(weights: WeightsEnum) -> Published:
    """Return the numbers that torchvision publishes for a set of weights."""
    crop = weights.transforms.keywords["crop_size"]
    return Published(crop, weights.meta["num_params"], weights.meta["_ops"])


def parameters_left_out(architecture: str) -> int:
    """Return how many published parameters are in a head that is left out here."""
    return AUXILIARY_PARAMETERS.get(architecture, 0)
