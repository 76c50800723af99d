"""Problem 2: a convolutional layer on an image of height x width pixels with square kernels and biases.

Z[i, j, m] is the sum over k1, k2 and n of W[k1, k2, n, m] X[i + k1, j + k2, n], plus b[m]. With a stride s, a padding p
on each side and a dilation r the pixel is X[s i + r k1 - p, s j + r k2 - p, n].
"""


def output_size(size: int, kernel: int, stride: int, padding: int, dilation: int) -> int:
    """Return the height (or width) of Z for the height (or width) of X, all in pixels."""
    raise NotImplementedError


def multiply_adds(height: int, width: int, input_channels: int, output_channels: int, kernel: int) -> int:
    """Return the multiply-adds of a forward pass with stride 1, no padding and no dilation; the bias costs none."""
    raise NotImplementedError


def parameters(input_channels: int, output_channels: int, kernel: int) -> int:
    """Return the number of trainable parameters."""
    raise NotImplementedError
