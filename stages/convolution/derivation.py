"""Problem 2 as the report shows it: from the formula to the verified numbers, in the homework's numbering."""

import pandas as pd

from plumbline.checks.derivations import Derivation, Step, Table
from plumbline.params.convolution import Convolution as Settings
from stages.convolution.layer_against_torch import RANDOM_LAYERS

Metrics = dict[str, int]


def derive(params: Settings, metrics: Metrics, architecture: str, crop: int) -> Derivation:
    """Return the derivation, with what verified each step; the caller adds the tables."""
    shape = (metrics["output_height"], metrics["output_width"], metrics["output_channels"])
    height, width = params.height, params.width
    k, n, m = params.kernel, params.input_channels, params.output_channels
    return Derivation(
        "Problem 2: a convolutional layer",
        [
            Step(
                "2",
                r"Z_{i,j,m} = \sum_{k_1} \sum_{k_2} \sum_n W_{k_1,k_2,n,m}\, X_{i+k_1,\,j+k_2,\,n} + b_m,"
                r" \quad Y = ReLU(Z)",
                f"X is ({height}, {width}, {n}), W is ({k}, {k}, {n}, {m}).",
                "computed in loops as it stands, equal to torch's convolution bit for bit in integers",
            ),
            Step(
                "2 (a)",
                rf"({height} - {k} + 1,\; {width} - {k} + 1,\; {m}) = ({shape[0]}, {shape[1]}, {shape[2]})",
                "The kernel fits so often along each side; Y has the shape of Z.",
                f"{shape}, the shape of torch's output",
            ),
            Step(
                "2 (b)", rf"N = {n}, \quad M = {m}", "Input and output channels.", f"{n} and {m}, as torch's layer has"
            ),
            Step(
                "2 (c)",
                rf"({shape[0]} \cdot {shape[1]} \cdot {m}) \cdot ({k} \cdot {k} \cdot {n}) = {metrics['macs']}",
                "Each output entry sums K K N products.",
                f"{metrics['macs']:,} multiply-adds, as torch's FlopCounterMode counts",
            ),
            Step(
                "2 (d)",
                rf"({k} \cdot {k} \cdot {n} \cdot {m}) + {m} = {metrics['parameters']}",
                "Weights and biases.",
                f"{metrics['parameters']:,}, the numbers in torch's layer",
            ),
            Step(
                "",
                r"H' = \left\lfloor \frac{H + 2p - r\,(K - 1) - 1}{s} \right\rfloor + 1,"
                r" \quad H' W' M\, K^2 \frac{N}{g}",
                "With stride s, padding p, dilation r and g groups (Dumoulin and Visin 2016): size and multiply-adds.",
                f"{RANDOM_LAYERS} random layers: shape, values, multiply-adds and parameters equal torch's",
            ),
            Step(
                "",
                r"\sum_{layers} H' W' M\, K^2 \frac{N}{g}",
                f"The same arithmetic over the {metrics['network_layers']} layers of {architecture} at {crop} pixels.",
                f"{metrics['network_macs']:,} multiply-adds as torch counts, {metrics['network_parameters']:,} "
                "parameters; both reconciled with what torchvision publishes",
            ),
        ],
    )


def network_table(table: pd.DataFrame) -> Table:
    """Return every layer's row."""
    return Table("The network, layer by layer", list(table.columns), table.to_numpy().tolist())


def conventions_table(conventions: dict[str, int]) -> Table:
    """Return the network's cost by convention."""
    rows = [[name, count] for name, count in conventions.items()]
    return Table("Why tools disagree: one image's forward pass, by what is counted", ["counted", "operations"], rows)
