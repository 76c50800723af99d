"""ResNet's basic block as a whole: convolution, normalisation, ReLU, twice, and the shortcut.

Source: He et al. 2015, arXiv:1512.03385, figure 2; torchvision's BasicBlock is the oracle.
"""

import torch

from stages.backprop.layers import (
    batch_norm,
    batch_norm_backward,
    convolution,
    convolution_backward,
    relu,
    relu_backward,
    residual_sum,
    residual_sum_backward,
)

Tensors = dict[str, torch.Tensor]
EPS = 1e-5  # torch's, of batch normalisation


def block(X: torch.Tensor, weights: Tensors, stride: int) -> tuple[torch.Tensor, dict[str, tuple]]:
    """Return the block's output in training mode, and what its backward pass needs.

    `weights` are named as in torchvision's BasicBlock; with `downsample.0.weight` the shortcut has a 1x1
    convolution and a normalisation of its own.
    """
    saved = {}
    Z, saved["conv1"] = convolution(X, weights["conv1.weight"], stride, 1)
    Z, saved["bn1"] = batch_norm(Z, weights["bn1.weight"], weights["bn1.bias"], EPS)
    Z, saved["relu1"] = relu(Z)
    Z, saved["conv2"] = convolution(Z, weights["conv2.weight"], 1, 1)
    Z, saved["bn2"] = batch_norm(Z, weights["bn2.weight"], weights["bn2.bias"], EPS)
    shortcut = X
    if "downsample.0.weight" in weights:
        shortcut, saved["downsample.0"] = convolution(X, weights["downsample.0.weight"], stride, 0)
        shortcut, saved["downsample.1"] = batch_norm(
            shortcut, weights["downsample.1.weight"], weights["downsample.1.bias"], EPS
        )
    Y, saved["relu2"] = relu(residual_sum(shortcut, Z))
    return Y, saved


def block_backward(dY: torch.Tensor, saved: dict[str, tuple], stride: int) -> tuple[torch.Tensor, Tensors]:
    """Return dX and the gradient of every weight, under its name, going back from the last step to the first."""
    d: Tensors = {}
    d_shortcut, dZ = residual_sum_backward(relu_backward(dY, saved["relu2"]))
    dZ, d["bn2.weight"], d["bn2.bias"] = batch_norm_backward(dZ, saved["bn2"])
    dZ, d["conv2.weight"] = convolution_backward(dZ, saved["conv2"], 1, 1)
    dZ = relu_backward(dZ, saved["relu1"])
    dZ, d["bn1.weight"], d["bn1.bias"] = batch_norm_backward(dZ, saved["bn1"])
    dX, d["conv1.weight"] = convolution_backward(dZ, saved["conv1"], stride, 1)
    if "downsample.0" in saved:
        d_shortcut, d["downsample.1.weight"], d["downsample.1.bias"] = batch_norm_backward(
            d_shortcut, saved["downsample.1"]
        )
        d_shortcut, d["downsample.0.weight"] = convolution_backward(d_shortcut, saved["downsample.0"], stride, 0)
    return dX + d_shortcut, d
