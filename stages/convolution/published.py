"""What torchvision publishes of its classifiers: parameters, and multiply-adds under the name of GFLOPS."""

from dataclasses import dataclass

from torch import nn
from torchvision.models import WeightsEnum

# Training's auxiliary head, which a fine-tuned network comes without: inception_v3's is published along with the
# network, in parameters though not in multiply-adds; googlenet's two are not.
AUXILIARY_PARAMETERS = {"inception_v3": 3_326_696}


@dataclass(frozen=True)
class Published:
    """The numbers of one set of weights."""

    crop: int  # pixels, height and width of the images it was made for
    parameters: int
    billions: float  # 1e9 multiply-adds, to three decimals

    def takes(self, network: nn.Module) -> bool:
        """Say whether the network takes images of that size: a vision transformer is built for one alone."""
        return getattr(network, "image_size", self.crop) == self.crop


def as_published(weights: WeightsEnum) -> Published:
    """Return what torchvision says of a set of weights."""
    crop = weights.transforms.keywords["crop_size"]
    return Published(crop, weights.meta["num_params"], weights.meta["_ops"])


def parameters_left_out(architecture: str) -> int:
    """Return how many published parameters are in a head that is left out here."""
    return AUXILIARY_PARAMETERS.get(architecture, 0)
