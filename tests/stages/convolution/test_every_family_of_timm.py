"""The smallest network of each of timm's modules: our prices against torch's count and timm's published parameters.

timm_param_counts.csv is from timm's results/results-imagenet.csv: millions of parameters, for 1,000 classes. Left out are
CrossViT and LeViT, which have two heads and are refused, and sequencer2d_s, whose count is right as well, but whose
recurrent layers take a minute to be counted.
"""

from pathlib import Path

import pandas as pd
import pytest

from plumbline.checks.multiply_adds import counted_macs, multiplying_layers, number_of_parameters
from plumbline.model.families import usual_size
from plumbline.model.networks import shape_of_network

PUBLISHED = pd.read_csv(Path(__file__).with_name("timm_param_counts.csv"), index_col="model")["param_count"]


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED.index)
@pytest.mark.filterwarnings("default")  # timm's and torch's own, in some
def test_the_price_is_what_torch_counts_and_the_parameters_are_those_that_timm_publishes(name: str) -> None:
    network = shape_of_network(f"timm/{name}", 1000)
    assert round(number_of_parameters(network) / 1e6, 2) == PUBLISHED[name]
    counted, outside = counted_macs(network, usual_size(network))
    layers = multiplying_layers(network, usual_size(network))
    assert sum(layer.macs for layer in layers) == counted - outside > 0
