"""The convolution by the formula as it is printed, in loops.

    Z[i, j, m] = sum_{k1, k2, n} W[k1, k2, n, m] X[i + k1, j + k2, n] + b[m]

With stride s, padding p and dilation r the pixel is X[s i + r k1 - p, s j + r k2 - p, n], zero outside of X; with
groups, m sees the input channels n of its own group alone.
"""

import torch
from torch.nn import functional

from stages.convolution.arithmetic import Convolution, output_shape


def convolve(X: torch.Tensor, W: torch.Tensor, b: torch.Tensor, layer: Convolution) -> torch.Tensor:
    """Return Z (H', W', M) for X (H, W, N), W (K, K, N / groups, M) and b (M)."""
    height, width, channels = output_shape(*X.shape[:2], layer)
    padded = functional.pad(X, (0, 0, layer.padding, layer.padding, layer.padding, layer.padding))
    Z = b.expand(height, width, -1).clone()
    of_group = channels // layer.groups
    for k1 in range(layer.kernel):
        for k2 in range(layer.kernel):
            pixels = taken(padded, layer.dilation * k1, layer.dilation * k2, height, width, layer.stride)
            for n in range(layer.input_channels // layer.groups):
                for group in range(layer.groups):
                    first = group * of_group
                    source = pixels[:, :, group * (layer.input_channels // layer.groups) + n, None]  # (H', W', 1)
                    Z[:, :, first : first + of_group] += source * W[k1, k2, n, first : first + of_group]
    return Z


def taken(X: torch.Tensor, top: int, left: int, height: int, width: int, stride: int) -> torch.Tensor:
    """Return the pixels (height, width, N) from a corner on, `stride` apart."""
    return X[top : top + (height - 1) * stride + 1 : stride, left : left + (width - 1) * stride + 1 : stride]
