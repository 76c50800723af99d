"""Compare problem 2's layer, and layers of random stride, padding, dilation and groups, with torch."""

import sympy
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from plumbline.checks.claims import Checks
from plumbline.checks.multiply_adds import number_of_parameters
from plumbline.params.convolution import Convolution as Settings
from stages.convolution.layer_by_formula import Convolution, convolve, macs, output_shape, parameters

RANDOM_LAYERS = 50


def torch_layer(layer: Convolution, W: torch.Tensor, b: torch.Tensor) -> nn.Conv2d:
    """Return torch's layer with the same weights; torch has W as (M, N / groups, K, K)."""
    theirs = nn.Conv2d(
        layer.input_channels, layer.output_channels, layer.kernel, layer.stride, layer.padding,
        layer.dilation, layer.groups, layer.bias, dtype=W.dtype,
    )  # fmt: skip
    with torch.no_grad():
        theirs.weight.copy_(W.permute(3, 2, 0, 1))
        if layer.bias:
            theirs.bias.copy_(b)
    return theirs


def integers(*shape: int) -> torch.Tensor:
    """Return small integers in float64: sums are exact, so equal means bit for bit."""
    return torch.randint(-8, 9, shape).double()


def compare(height: int, width: int, layer: Convolution) -> dict[str, tuple[object, object]]:
    """Return the value by formula and the value in torch of each property of one layer."""
    X = integers(height, width, layer.input_channels)
    W = integers(layer.kernel, layer.kernel, layer.input_channels // layer.groups, layer.output_channels)
    b = integers(layer.output_channels) * layer.bias
    theirs = torch_layer(layer, W, b)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        Z = theirs(X.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    return {
        "shape": (output_shape(height, width, layer), tuple(Z.shape)),
        "values": (torch.equal(convolve(X, W, b, layer), Z), True),
        "channels": ((layer.input_channels, layer.output_channels), (theirs.in_channels, theirs.out_channels)),
        "macs": (macs(height, width, layer), counter.get_total_flops() // 2),
        "parameters": (parameters(layer), number_of_parameters(theirs)),
    }


def check_homework(checks: Checks, params: Settings) -> dict[str, int]:
    """Answer (a) to (d), compare each with torch, and return the metrics."""
    layer = Convolution(params.input_channels, params.output_channels, params.kernel)
    pairs = compare(params.height, params.width, layer)
    checks.expect_equal(*pairs["shape"], "(a) the shape of Z and Y is the same by formula and in torch")
    checks.expect(pairs["values"][0], "Z by the printed formula equals torch's, bit for bit in integers")
    checks.expect_equal(*pairs["channels"], "(b) the input and output channels are torch's")
    checks.expect_equal(*pairs["macs"], "(c) the multiply-adds are the same by formula and as torch counts")
    products = layer.kernel**2 * layer.input_channels
    operations = operations_of_an_entry(products)
    claim = (
        "(c) one output entry takes as many multiplications, and as many additions with the bias, as it has products"
    )
    checks.expect_equal(operations, (products, products), claim, "as sympy counts")
    checks.expect_equal(*pairs["parameters"], "(d) the trainable parameters are as many as torch's")
    height, width, channels = output_shape(params.height, params.width, layer)
    return {
        "output_height": height,
        "output_width": width,
        "output_channels": channels,
        "input_channels": params.input_channels,
        "macs": macs(params.height, params.width, layer),
        "parameters": parameters(layer),
    }


def operations_of_an_entry(products: int) -> tuple[int, int]:
    """Return the multiplications and additions, as sympy counts them, of so many products and a bias."""
    entry = sum((sympy.Symbol(f"w{i}") * sympy.Symbol(f"x{i}") for i in range(products)), sympy.Symbol("b"))
    counted = sympy.count_ops(entry, visual=True)
    return tuple(int(counted.coeff(sympy.Symbol(name))) for name in ("MUL", "ADD"))


def check_random_layers(checks: Checks) -> None:
    """Compare layers of random stride, padding, dilation and groups with torch."""
    agreeing = dict.fromkeys(("shape", "values", "macs", "parameters"), 0)
    for _ in range(RANDOM_LAYERS):
        pairs = compare(*random_layer())
        for what in agreeing:
            ours, theirs = pairs[what]
            agreeing[what] += ours == theirs
    for what, count in agreeing.items():
        claim = f"layers of random stride, padding, dilation and groups have torch's {what}"
        checks.expect_equal(count, RANDOM_LAYERS, claim)


def random_layer() -> tuple[int, int, Convolution]:
    """Return an input's height and width, and a layer that fits."""

    def choose(low: int, high: int) -> int:
        return int(torch.randint(low, high + 1, ()))

    groups = choose(1, 3)
    layer = Convolution(
        input_channels=groups * choose(1, 3),
        output_channels=groups * choose(1, 3),
        kernel=choose(1, 4),
        stride=choose(1, 3),
        padding=choose(0, 2),
        dilation=choose(1, 3),
        groups=groups,
        bias=bool(choose(0, 1)),
    )
    reach = layer.dilation * (layer.kernel - 1) + 1
    return reach + choose(0, 6), reach + choose(0, 6), layer
