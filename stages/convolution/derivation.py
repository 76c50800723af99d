"""Problem 2 as the report shows it: from the formula to the verified numbers, in the homework's numbering."""

import pandas as pd

from plumbline.checks.derivations import Derivation, Step, Table
from plumbline.params.convolution import Convolution as Settings
from stages.convolution.layer_against_torch import RANDOM_LAYERS
from stages.convolution.network_parameters import HOMEWORKS_CLASSES, NetworkParameters
from stages.convolution.network_table import IMAGENET_CLASSES

Metrics = dict[str, int]

COLUMNS = {  # of plots/network_layers.csv, in words
    "output_shape": "output (channels x rows x columns)",
    "macs": "multiply-adds",
    "receptive_field": "receptive field: how many rows of the image an output depends on",
    "share": "share of multiply-adds",
}


def derive(
    params: Settings, metrics: Metrics, parameters: NetworkParameters, architecture: str, crop: int
) -> Derivation:
    """Return the derivation, with what verified each step; the caller adds the tables."""
    return Derivation(
        "Problem 2: a convolutional layer",
        [*the_layer(params, metrics), *any_layer(), *the_network(metrics, parameters, architecture, crop)],
    )


def the_layer(params: Settings, metrics: Metrics) -> list[Step]:
    """Return parts (a) to (d)."""
    shape = (metrics["output_height"], metrics["output_width"], metrics["output_channels"])
    height, width = params.height, params.width
    k, n, m = params.kernel, params.input_channels, params.output_channels
    entries, products = shape[0] * shape[1] * m, k * k * n
    return [
        Step(
            "2",
            r"Z_{i,j,m} = \sum_{k_1} \sum_{k_2} \sum_n W_{k_1,k_2,n,m}\, X_{i+k_1,\,j+k_2,\,n} + b_m,"
            r" \quad Y = ReLU(Z)",
            f"The input X ({height}, {width}, {n}) has rows, columns and N input channels n. The weights W "
            f"({k}, {k}, {n}, {m}) have K = {k} rows k1 and K columns k2 of the kernel for each input channel n and "
            "each of M output channels m. The biases b have one number for each m. All indices count from 0; i and j "
            "run over the positions of Z. ReLU(z) is max(z, 0), entry by entry.",
            "computed in loops as it stands, equal to torch's convolution bit for bit in integers",
            question="A convolutional layer is given by this formula.",
        ),
        Step(
            "2 (a)",
            rf"({height} - {k} + 1,\; {width} - {k} + 1,\; {m}) = ({shape[0]},\; {shape[1]},\; {shape[2]})",
            "There is no padding, and the stride is 1. The kernel's first row can lie on every row of X but the last "
            "K - 1; the same holds for columns. Y has the shape of Z, because ReLU works entry by entry.",
            f"{shape}, the shape of torch's output",
            question="Which shapes do Z and Y have?",
        ),
        Step(
            "2 (b)",
            rf"N = {n}, \quad M = {m}",
            "N is the third size of both X and W, M the fourth of W.",
            f"{n} and {m}, as torch's layer has",
            question="How many input and output channels are there?",
        ),
        Step(
            "",
            rf"{shape[0]} \cdot {shape[1]} \cdot {m} = {entries}",
            "The number of entries of Z.",
            question="How many multiplications and additions does a forward pass take?",
        ),
        Step(
            "",
            rf"K \cdot K \cdot N = {k} \cdot {k} \cdot {n} = {products}",
            f"The number of products in an entry. Summing them takes {products - 1} additions, and the bias one "
            f"more: {products} multiplications and {products} additions an entry.",
            f"{products} and {products}, as sympy counts the operations of one entry",
        ),
        Step(
            "2 (c)",
            rf"{entries} \cdot {products} = {metrics['macs']}",
            f"The number of multiplications, and also of additions. One of each is a multiply-add: the layer takes "
            f"{metrics['macs']:,} multiply-adds.",
            f"{metrics['macs']:,} multiply-adds, as torch's FlopCounterMode counts",
        ),
        Step(
            "2 (d)",
            rf"({k} \cdot {k} \cdot {n} \cdot {m}) + {m} = {metrics['parameters']}",
            "The weights, and one bias for each output channel.",
            f"{metrics['parameters']:,}, the numbers in torch's layer",
            question="How many trainable parameters does the layer have?",
        ),
    ]


def any_layer() -> list[Step]:
    """Return the formulas of a layer of any stride, padding, dilation and groups."""
    return [
        Step(
            "",
            r"H_{out} = \left\lfloor \frac{H + 2p - r\,(K - 1) - 1}{s} \right\rfloor + 1",
            "The number of rows of the output for H rows of the input; the same holds for columns. Padding adds p rows "
            "of zeros on each side: H + 2p rows. With dilation r the kernel's rows are r apart, and it reaches over "
            "r (K - 1) + 1 rows. It moves by the stride s. The brackets round down. In formula (2) the row of X is "
            "then s i + r k1 - p and the column s j + r k2 - p; outside of X the value is 0. For p = 0, r = 1, s = 1 "
            "this is (a) (Dumoulin and Visin 2016).",
            f"{RANDOM_LAYERS} random layers: shape and values equal torch's",
            question="What changes with padding, stride, dilation and groups? (Not asked in the homework.)",
        ),
        Step(
            "",
            r"P \cdot M \cdot K^2 \cdot \frac{N}{g}",
            "The multiply-adds for P output positions, rows times columns. With g groups an output channel is computed "
            "from N / g input channels. For g = 1 this is (c).",
            f"{RANDOM_LAYERS} random layers: multiply-adds and parameters equal torch's",
        ),
    ]


def the_network(metrics: Metrics, parameters: NetworkParameters, architecture: str, crop: int) -> list[Step]:
    """Return the totals over the network's layers, and how they belong together."""
    layers, shortcuts = metrics["network_layers"], parameters.on_shortcuts
    how_many = f"all {layers} convolutions and linear layers of {architecture}"
    if shortcuts:
        how_many += (
            f". {layers - shortcuts} of them follow one another. The other {shortcuts} are 1 x 1 convolutions on "
            "shortcuts, which give a block's input the shape of its output; the network's name does not count them"
        )
    other = rf" + {parameters.elsewhere}" if parameters.elsewhere else ""
    of_others = f", and {parameters.elsewhere:,} of other kinds" if parameters.elsewhere else ""
    attention_macs = metrics["network_macs"] - parameters.macs_in_layers
    attention = rf" + {attention_macs}" if attention_macs else ""
    of_attention = f" The {attention_macs:,} are attention's." if attention_macs else ""
    features = parameters.head_features
    published, replaced = (parameters.of_head(outputs) for outputs in (IMAGENET_CLASSES, HOMEWORKS_CLASSES))
    return [
        Step(
            "",
            rf"\sum_{{layers}} P \cdot M \cdot K^2 \cdot \frac{{N}}{{g}}{attention} = {metrics['network_macs']}",
            f"The sum over {how_many}. It is for one image of {crop} x {crop} pixels, and the published head of "
            f"{IMAGENET_CLASSES:,} outputs. In a linear layer P and K are 1.{of_attention}",
            f"{metrics['network_macs']:,} multiply-adds, as torch counts; the same arithmetic gives what torchvision "
            "publishes",
            question=f"What do all layers of {architecture} cost together? (Not asked in the homework.)",
        ),
        Step(
            "",
            rf"{parameters.in_layers} + {parameters.in_normalisation}{other} = {parameters.total}",
            f"Parameters: {parameters.in_layers:,} in those layers, as in the table and the figure; "
            f"{parameters.in_normalisation:,} in normalisation, a scale and a shift for each channel{of_others}.",
            f"{parameters.total:,}, as many as torch's network has",
        ),
        Step(
            "",
            rf"({features} + 1) \cdot {IMAGENET_CLASSES} = {published}, \quad"
            rf" ({features} + 1) \cdot {HOMEWORKS_CLASSES} = {replaced}",
            f"The published head has {features:,} weights and a bias for each of {IMAGENET_CLASSES:,} outputs. Problem "
            f"4 replaces it by one with an output for each class, {HOMEWORKS_CLASSES} in the homework; all other "
            "layers stay.",
            f"torch's network of {HOMEWORKS_CLASSES} outputs has {parameters.total - published + replaced:,} "
            "parameters",
        ),
    ]


def network_table(table: pd.DataFrame) -> Table:
    """Return every layer's row."""
    return Table(
        f"The network as published, with {IMAGENET_CLASSES:,} outputs, layer by layer",
        [COLUMNS.get(column, column) for column in table.columns],
        table.to_numpy().tolist(),
    )


def conventions_table(conventions: dict[str, int]) -> Table:
    """Return the network's cost by convention."""
    rows = [[name, count] for name, count in conventions.items()]
    return Table(
        "Why tools disagree: the forward pass of one image, by what is counted", ["counted", "operations"], rows
    )
