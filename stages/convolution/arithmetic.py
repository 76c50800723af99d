"""Shapes and costs of a convolution: the homework's answers, with stride, padding, dilation and groups."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Convolution:
    """A convolution of square kernels; the defaults are the homework's."""

    input_channels: int
    output_channels: int
    kernel: int  # pixels
    stride: int = 1
    padding: int = 0  # pixels, on each side
    dilation: int = 1
    groups: int = 1
    bias: bool = True


def output_size(size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> int:
    """Return the spatial size, in pixels, of a convolution's output.

    floor((size + 2 padding - dilation (kernel - 1) - 1) / stride) + 1.
    Raises ValueError if the kernel is larger than the padded input.
    Source: Dumoulin and Visin 2016, arXiv:1603.07285, relationship 6 and section 5.1.
    """
    reach = dilation * (kernel - 1) + 1
    if reach > size + 2 * padding:
        raise ValueError(f"a kernel that reaches over {reach} pixels does not fit {size} pixels padded by {padding}")
    return (size + 2 * padding - reach) // stride + 1


def output_shape(height: int, width: int, layer: Convolution) -> tuple[int, int, int]:
    """Return the output's (height, width, channels), part (a)."""
    sizes = (output_size(s, layer.kernel, layer.stride, layer.padding, layer.dilation) for s in (height, width))
    return *sizes, layer.output_channels


def macs(height: int, width: int, layer: Convolution) -> int:
    """Return the multiply-adds for an input of height x width pixels, part (c).

    Each output entry sums kernel^2 input_channels / groups products; the bias is not counted, as in the homework.
    """
    rows, columns, channels = output_shape(height, width, layer)
    return (rows * columns * channels) * (layer.kernel**2 * (layer.input_channels // layer.groups))


def parameters(layer: Convolution) -> int:
    """Return the number of trainable parameters, weights and biases, part (d)."""
    weights = layer.kernel**2 * (layer.input_channels // layer.groups) * layer.output_channels
    return weights + (layer.output_channels if layer.bias else 0)
