"""ResNet34's parts: both hand-written passes against torch's, over shapes, strides and paddings."""

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from stages.backprop import resnet_layers

IMAGES = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**31))
WINDOW = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(0, 2))


def images(batch: int, channels: int, height: int, width: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, channels, height, width, dtype=torch.float64, generator=generator).requires_grad_()


def assert_close(ours, theirs) -> None:
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@given(IMAGES, WINDOW, st.integers(1, 3))
@settings(max_examples=60)
def test_convolution(image, window, outputs) -> None:
    kernel, stride, padding = window
    assume(kernel <= min(image[2:4]) + 2 * padding)
    X = images(*image)
    W = torch.randn(outputs, image[1], kernel, kernel, dtype=torch.float64, requires_grad=True)
    theirs = functional.conv2d(X, W, stride=stride, padding=padding)
    ours, saved = resnet_layers.convolution(X.detach(), W.detach(), stride, padding)
    dY = torch.randn_like(theirs)
    gradients = resnet_layers.convolution_backward(dY, saved, stride, padding)
    assert_close((ours, *gradients), (theirs.detach(), *torch.autograd.grad(theirs, (X, W), dY)))


@given(IMAGES, WINDOW)
@settings(max_examples=60)
def test_max_pooling(image, window) -> None:
    kernel, stride, padding = window
    assume(2 * padding <= kernel <= min(image[2:4]) + 2 * padding)
    X = images(*image)
    theirs = functional.max_pool2d(X, kernel, stride, padding)
    ours, saved = resnet_layers.max_pool(X.detach(), kernel, stride, padding)
    dY = torch.randn_like(theirs)
    gradient = resnet_layers.max_pool_backward(dY, saved, kernel, stride, padding)
    assert_close((ours, gradient), (theirs.detach(), *torch.autograd.grad(theirs, X, dY)))


@given(IMAGES)
@settings(max_examples=40)
def test_batch_normalisation(image) -> None:
    assume(image[0] * image[2] * image[3] > 1)  # torch refuses a single value
    X = images(*image)
    gamma, beta = (torch.randn(image[1], dtype=torch.float64, requires_grad=True) for _ in range(2))
    theirs = functional.batch_norm(X, None, None, gamma, beta, training=True)
    ours, saved = resnet_layers.batch_norm(X.detach(), gamma.detach(), beta.detach(), 1e-5)
    dY = torch.randn_like(theirs)
    wanted = torch.autograd.grad(theirs, (X, gamma, beta), dY)
    for a, b in zip((ours, *resnet_layers.batch_norm_backward(dY, saved)), (theirs.detach(), *wanted), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)  # two values that nearly agree are divided by ~0


@given(st.integers(1, 5), st.integers(2, 6), st.floats(0.01, 100), st.integers(0, 2**31))
@settings(max_examples=40)
def test_softmax_cross_entropy(batch, classes, scale, seed) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = (scale * torch.randn(batch, classes, dtype=torch.float64, generator=generator)).requires_grad_()
    labels = torch.randint(0, classes, (batch,), generator=generator)
    theirs = functional.cross_entropy(logits, labels)
    ours, saved = resnet_layers.cross_entropy(logits.detach(), labels)
    wanted = (theirs.detach(), *torch.autograd.grad(theirs, logits))
    assert_close((ours, resnet_layers.cross_entropy_backward(saved)), wanted)
