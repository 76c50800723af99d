"""Problem 2: the shapes and the cost of a convolutional layer, and of the network that is trained.

    Z[i, j, m] = sum_{k1, k2, n} W[k1, k2, n, m] X[i + k1, j + k2, n] + b[m],    Y = ReLU(Z)

The four answers follow from the formula and are compared with torch; the same arithmetic then prices
`weights.architecture` at `image.crop` pixels, layer by layer. Writes metrics/convolution.json.
"""

from pathlib import Path

import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from plumbline import params
from plumbline.checks import Checks
from plumbline.errors import run
from plumbline.networks import WITHOUT_AUXILIARY, refuse_image_size, run_on_shapes, shape_of_network
from plumbline.outputs import write_json

METRICS = Path("metrics/convolution.json")

IMAGENET_CLASSES = 1000


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0) -> int:
    """Return the spatial size, in pixels, of a convolution's output.

    floor((size + 2 padding - kernel) / stride) + 1.
    Raises ValueError if the kernel is larger than the padded input.
    Source: Dumoulin and Visin 2016, arXiv:1603.07285, relationship 6.
    """
    if kernel > size + 2 * padding:
        raise ValueError(f"a kernel of {kernel} pixels does not fit {size} pixels padded by {padding}")
    return (size + 2 * padding - kernel) // stride + 1


def convolution_macs(height: int, width: int, channels: int, kernel: int, input_channels: int) -> int:
    """Return the multiply-adds for an output of (height, width, channels), part (c).

    Each output entry sums kernel^2 input_channels products; the bias is not counted, as in the homework.
    """
    return (height * width * channels) * (kernel * kernel * input_channels)


def convolution_parameters(channels: int, kernel: int, input_channels: int) -> int:
    """Return the number of trainable parameters, weights and biases, part (d)."""
    return kernel * kernel * input_channels * channels + channels


def convolve(X: torch.Tensor, W: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return Z (H', W', M) for X (H, W, N), W (K, K, N, M) and b (M), by the formula as it is printed."""
    kernel = W.shape[0]
    height, width = (output_size(size, kernel) for size in X.shape[:2])
    Z = b.expand(height, width, -1).clone()
    for k1 in range(kernel):
        for k2 in range(kernel):
            Z += X[k1 : k1 + height, k2 : k2 + width] @ W[k1, k2]  # sum over n
    return Z


def torch_layer(W: torch.Tensor, b: torch.Tensor) -> nn.Conv2d:
    """Return torch's layer with the same weights; torch has W as (M, N, K, K)."""
    kernel, _, input_channels, channels = W.shape
    layer = nn.Conv2d(input_channels, channels, kernel, dtype=W.dtype)
    with torch.no_grad():
        layer.weight.copy_(W.permute(3, 2, 0, 1))
        layer.bias.copy_(b)
    return layer


def check_homework(checks: Checks, own: params.Convolution) -> dict[str, int]:
    """Answer (a) to (d), compare each with torch, and return the metrics."""
    height, width = (output_size(size, own.kernel) for size in (own.height, own.width))
    macs = convolution_macs(height, width, own.output_channels, own.kernel, own.input_channels)
    parameters = convolution_parameters(own.output_channels, own.kernel, own.input_channels)
    # Small integers in float64: sums are exact, so equal means bit for bit.
    X = torch.randint(-8, 9, (own.height, own.width, own.input_channels)).double()
    W = torch.randint(-8, 9, (own.kernel, own.kernel, own.input_channels, own.output_channels)).double()
    b = torch.randint(-8, 9, (own.output_channels,)).double()
    Z = convolve(X, W, b)
    layer = torch_layer(W, b)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        theirs = layer(X.permute(2, 0, 1)[None])[0].permute(1, 2, 0)
    shape = (height, width, own.output_channels)
    checks.expect_equal(shape, tuple(theirs.shape), "(a) shape of Z and Y, by formula and in torch")
    checks.expect(torch.equal(Z, theirs), "Z by the printed formula equals torch's, bit for bit in integers")
    channels = (own.input_channels, own.output_channels)
    checks.expect_equal(channels, (layer.in_channels, layer.out_channels), "(b) input and output channels")
    checks.expect_equal(macs, counter.get_total_flops() // 2, "(c) multiply-adds, by formula and as torch counts")
    checks.expect_equal(parameters, number_of_parameters(layer), "(d) trainable parameters")
    return {
        "output_height": height,
        "output_width": width,
        "output_channels": own.output_channels,
        "input_channels": own.input_channels,
        "macs": macs,
        "parameters": parameters,
    }


def number_of_parameters(module: nn.Module) -> int:
    """Return how many numbers training may change."""
    return sum(parameter.numel() for parameter in module.parameters())


def layer_macs(layer: nn.Module, output: torch.Tensor) -> int:
    """Return the multiply-adds of a convolution or linear layer that gave this output, for one image."""
    if isinstance(layer, nn.Conv2d):
        products = layer.kernel_size[0] * layer.kernel_size[1] * layer.in_channels // layer.groups
    else:
        products = layer.in_features
    return output.numel() * products


def network_macs(network: nn.Module, crop: int) -> int:
    """Return the multiply-adds of all convolution and linear layers for one image of crop x crop pixels."""
    total = 0

    def add(layer: nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += layer_macs(layer, output)

    hooks = [m.register_forward_hook(add) for m in network.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    run_on_shapes(network, crop)
    for hook in hooks:
        hook.remove()
    return total


def has_attention(network: nn.Module) -> bool:
    """Say whether the network multiplies matrices outside of its convolution and linear layers."""
    inside = {
        "MultiheadAttention",
        "ShiftedWindowAttention",
        "ShiftedWindowAttentionV2",
        "RelativePositionalMultiHeadAttention",
    }
    return any(type(module).__name__ in inside for module in network.modules())


def check_network(checks: Checks, architecture: str, crop: int) -> dict[str, int]:
    """Price the network that is trained, compare with what others count, and return the metrics."""
    network = shape_of_network(architecture, IMAGENET_CLASSES)
    refuse_image_size(network, crop, "image.crop")
    macs, parameters = network_macs(network, crop), number_of_parameters(network)
    with FlopCounterMode(display=False) as counter:
        run_on_shapes(network, crop)
    counted = counter.get_total_flops() // 2
    if has_attention(network):
        checks.expect(macs <= counted, f"{architecture}'s layers without attention: {macs} MACs of {counted} in all")
    else:
        checks.expect_equal(macs, counted, f"{architecture} at {crop} pixels, MACs by formula and as torch counts")
    published = {weights.meta["num_params"] for weights in torchvision.models.get_model_weights(architecture)}
    if architecture not in WITHOUT_AUXILIARY:  # whose published numbers may count the heads that are left out
        claim = f"{architecture}'s parameters are as torchvision publishes: {parameters}"
        checks.expect(parameters in published, claim)
    return {"network_macs": counted, "network_parameters": parameters}


def main() -> None:
    settings = params.load()
    torch.manual_seed(settings.seed)
    checks = Checks()
    homework = check_homework(checks, settings.convolution)
    network = check_network(checks, settings.weights.architecture, settings.image.crop)
    checks.end()
    write_json(METRICS, homework | network | checks.counts())


if __name__ == "__main__":
    run(main)
