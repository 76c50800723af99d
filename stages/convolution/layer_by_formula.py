"""Problem 2's layer by formula: its shape, its cost and its values, also with stride, padding, dilation and groups.

    Z[i, j, m] = sum_{k1, k2, n} W[k1, k2, n, m] X[i + k1, j + k2, n] + b[m]

With stride s, padding p and dilation r the pixel is X[s i + r k1 - p, s j + r k2 - p, n], zero outside of X; with
groups, m sees the input channels n of its own group alone.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional


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


def convolve(X: torch.Tensor, W: torch.Tensor, b: torch.Tensor, layer: Convolution) -> torch.Tensor:
    """Return Z (H', W', M) for X (H, W, N), W (K, K, N / groups, M) and b (M)."""
    height, width, channels = output_shape(*X.shape[:2], layer)
    padded = functional.pad(X, (0, 0, layer.padding, layer.padding, layer.padding, layer.padding))
    Z = b.expand(height, width, -1).clone()
    of_group = channels // layer.groups
    for k1 in range(layer.kernel):
        for k2 in range(layer.kernel):
            pixels = strided_pixels(padded, layer.dilation * k1, layer.dilation * k2, height, width, layer.stride)
            for n in range(layer.input_channels // layer.groups):
                for group in range(layer.groups):
                    first = group * of_group
                    source = pixels[:, :, group * (layer.input_channels // layer.groups) + n, None]  # (H', W', 1)
                    Z[:, :, first : first + of_group] += source * W[k1, k2, n, first : first + of_group]
    return Z


def strided_pixels(X: torch.Tensor, top: int, left: int, height: int, width: int, stride: int) -> torch.Tensor:
    """Return the pixels (height, width, N) from a corner on, `stride` apart."""
    return X[top : top + (height - 1) * stride + 1 : stride, left : left + (width - 1) * stride + 1 : stride]
