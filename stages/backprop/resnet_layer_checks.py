"""Compare the hand-written backward passes of ResNet34's parts with autograd."""

from collections.abc import Callable

import torch
from torch.nn import functional
from torchvision.models.resnet import BasicBlock, conv1x1

from plumbline.checks.claims import Checks
from stages.backprop import resnet_layers
from stages.backprop.gradient_checks import AUTOGRAD_LIMIT, relative_error

BATCH, CHANNELS, SIZE = 3, 4, 9  # of the random images: odd, so that strides do not divide them
CLASSES = 5

# Kernel, stride and padding of every convolution and pooling in ResNet.
CONVOLUTIONS = ((7, 2, 3), (3, 1, 1), (3, 2, 1), (1, 2, 0), (1, 1, 0))
POOLING = (3, 2, 1)

# Torch's output, ours, the inputs to differentiate by, and the hand-written gradients for a given dY.
Case = tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], Callable[[torch.Tensor], tuple[torch.Tensor, ...]]]


def check_layers(checks: Checks) -> dict[str, float]:
    """Compare each layer, and one basic block of both kinds, with autograd; return the relative errors by name."""
    errors = {name: error(*case) for name, case in cases().items()}
    errors |= {f"basic block, {kind}": block_error(stride) for kind, stride in (("plain", 1), ("downsampling", 2))}
    for name, layer_error in errors.items():
        checks.expect_error(layer_error, AUTOGRAD_LIMIT, f"both hand-written passes of {name} equal torch's, float64")
    return errors


def cases() -> dict[str, Case]:
    """Return one case a layer, on random inputs."""
    X, gamma, beta = leaf(BATCH, CHANNELS, SIZE, SIZE), leaf(CHANNELS), leaf(CHANNELS)
    branch, logits, labels = leaf(BATCH, CHANNELS, SIZE, SIZE), leaf(BATCH, CLASSES), torch.arange(BATCH)
    layer_cases: dict[str, Case] = {}
    for kernel, stride, padding in CONVOLUTIONS:
        W = leaf(CHANNELS + 1, CHANNELS, kernel, kernel)
        ours, saved = resnet_layers.convolution(X.detach(), W.detach(), stride, padding)
        layer_cases[f"convolution {kernel}x{kernel}, stride {stride}"] = (
            functional.conv2d(X, W, stride=stride, padding=padding),
            ours,
            [X, W],
            lambda dY, s=saved, stride=stride, padding=padding: resnet_layers.convolution_backward(
                dY, s, stride, padding
            ),
        )
    ours, normalised = resnet_layers.batch_norm(X.detach(), gamma.detach(), beta.detach(), resnet_layers.EPS)
    layer_cases["batch normalisation"] = (
        functional.batch_norm(X, None, None, gamma, beta, training=True, eps=resnet_layers.EPS),
        ours,
        [X, gamma, beta],
        lambda dY: resnet_layers.batch_norm_backward(dY, normalised),
    )
    ours, positive = resnet_layers.relu(X.detach())
    layer_cases["ReLU"] = (functional.relu(X), ours, [X], lambda dY: (resnet_layers.relu_backward(dY, positive),))
    ours, largest = resnet_layers.max_pool(X.detach(), *POOLING)
    layer_cases["max pooling"] = (
        functional.max_pool2d(X, *POOLING),
        ours,
        [X],
        lambda dY: (resnet_layers.max_pool_backward(dY, largest, *POOLING),),
    )
    ours, pooled = resnet_layers.average_pool(X.detach())
    layer_cases["average pooling"] = (
        functional.adaptive_avg_pool2d(X, 1).flatten(1),
        ours,
        [X],
        lambda dY: (resnet_layers.average_pool_backward(dY, pooled),),
    )
    layer_cases["residual sum"] = (
        X + branch,
        resnet_layers.residual_sum(X.detach(), branch.detach()),
        [X, branch],
        resnet_layers.residual_sum_backward,
    )
    ours, softmax = resnet_layers.cross_entropy(logits.detach(), labels)
    layer_cases["softmax cross-entropy"] = (
        functional.cross_entropy(logits, labels),
        ours,
        [logits],
        lambda dY: (dY * resnet_layers.cross_entropy_backward(softmax),),
    )
    return layer_cases


def leaf(*shape: int) -> torch.Tensor:
    """Return a random tensor, float64, to differentiate by."""
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def error(output: torch.Tensor, ours: torch.Tensor, inputs: list[torch.Tensor], hand_written: Callable) -> float:
    """Return the largest relative error of the output and the hand-written gradients, for a random dY."""
    dY = torch.randn_like(output)
    theirs = torch.autograd.grad(output, inputs, dY)
    pairs = zip((ours, *hand_written(dY)), (output.detach(), *theirs), strict=True)
    return max(relative_error(a, b) for a, b in pairs)


def block_error(stride: int) -> float:
    """Return the largest relative error of a basic block's output and gradients, for a random dY."""
    shortcut = conv1x1(CHANNELS, CHANNELS, stride), torch.nn.BatchNorm2d(CHANNELS)
    theirs = BasicBlock(CHANNELS, CHANNELS, stride, torch.nn.Sequential(*shortcut) if stride > 1 else None).double()
    for parameter in theirs.parameters():
        torch.nn.init.normal_(parameter)
    X = leaf(BATCH, CHANNELS, SIZE, SIZE)
    weights = {name: parameter.detach() for name, parameter in theirs.named_parameters()}
    ours, saved = resnet_layers.block(X.detach(), weights, stride)
    output = theirs(X)
    dY = torch.randn_like(output)
    dX, gradients = resnet_layers.block_backward(dY, saved, stride)
    wanted = torch.autograd.grad(output, [X, *theirs.parameters()], dY)
    computed = [dX, *(gradients[name] for name in weights)]
    return max(relative_error(a, b) for a, b in zip([ours, *computed], [output.detach(), *wanted], strict=True))
