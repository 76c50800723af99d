"""Check problem 2's answers: against torch's own layers, which are built without memory, and torch's count."""

from collections.abc import Callable

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tools.exercise.verdicts import difference

SIZE, KERNEL = 48, 3  # the homework's; each option alone, then all of them
OPTIONS = {
    "stride 1, no padding and no dilation": {},
    "a stride of 2": {"stride": 2},
    "a padding of 1": {"padding": 1},
    "a dilation of 2": {"dilation": 2},
    "stride 2, padding 1 and dilation 2 together": {"stride": 2, "padding": 1, "dilation": 2},
}
LAYER = (48, 64, 10, 20, 3)  # height, width, input and output channels, kernel: the homework's
OTHER = (9, 7, 2, 5, 4)


def layer_of(input_channels: int, output_channels: int, kernel: int, **options: int) -> nn.Conv2d:
    """Return torch's layer on no device: it has shapes and no values."""
    return nn.Conv2d(input_channels, output_channels, kernel, **options, device="meta")


def of_sizes(answer: Callable) -> str | None:
    """Return with which option the output's size is first wrong."""
    for name, options in OPTIONS.items():
        right = layer_of(1, 1, KERNEL, **options)(torch.empty(1, 1, SIZE, SIZE, device="meta")).shape[2]
        given = {"stride": 1, "padding": 0, "dilation": 1} | options
        size = answer(SIZE, KERNEL, **given)
        if not isinstance(size, int):
            return f"returns {size!r} for {name}, and a size is a whole number"
        if size != right:
            away = f"{abs(size - right)} too {'large' if size > right else 'small'}"
            return f"is {away} for {SIZE} pixels, a kernel of {KERNEL} and {name}"
    return None


def of_cost(answer: Callable) -> str | None:
    """Return what is off with the multiply-adds, by the factors that may be missing or too many."""
    for height, width, n, m, kernel in (LAYER, OTHER):
        with FlopCounterMode(display=False) as count:
            layer_of(n, m, kernel)(torch.empty(1, n, height, width, device="meta"))
        right = count.get_total_flops() // 2
        rows, columns = height - kernel + 1, width - kernel + 1
        scales = {
            "FLOPs: a multiply-add is one": 2.0,
            "1/M: each output channel costs as much": 1 / m,
            "1/N: each product is with all input channels": 1 / n,
            "1/K: the kernel has rows and columns": 1 / kernel,
            "1/(K K): each output sums over the kernel": 1 / kernel**2,
            "counted at every pixel of X, and not of Z": height * width / (rows * columns),
        }
        number = answer(height, width, n, m, kernel)
        if number == right + rows * columns * m:
            return "counts the biases"
        if words := difference(number, float(right), scales):
            return words
    return None


def of_parameters(answer: Callable) -> str | None:
    """Return what is off with the number of parameters."""
    for _, _, n, m, kernel in (LAYER, OTHER):
        right = sum(parameter.numel() for parameter in layer_of(n, m, kernel).parameters())
        number = answer(n, m, kernel)
        if number == right - m:
            return "has no biases"
        if number == right - m + n:
            return "has a bias for each input channel, and not for each output channel"
        if number == right - m + 1:
            return "has one bias, and not one for each output channel"
        if words := difference(number, float(right)):
            return words
    return None


CHECKS = {"output_size": of_sizes, "multiply_adds": of_cost, "parameters": of_parameters}
