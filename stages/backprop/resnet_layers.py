"""Hand-written passes of ResNet34's layers and of its basic block, each backward pass beside its forward pass.

Images are (B, C, H, W). A gradient is named after what the loss is differentiated by: dY is the loss's derivative
by the layer's output. Each forward returns the output and what its backward needs.
Source of the block: He et al. 2015, arXiv:1512.03385, figure 2. Its oracle is torchvision's BasicBlock.
"""

import torch
from torch.nn import functional

Saved = tuple[torch.Tensor, ...]
Tensors = dict[str, torch.Tensor]
EPS = 1e-5  # torch's, of batch normalisation


def unfolded(X: torch.Tensor, kernel: int, stride: int, padding: int) -> torch.Tensor:
    """Return X's patches, (B, C kernel^2, positions)."""
    return functional.unfold(X, kernel, stride=stride, padding=padding)


def convolution(X: torch.Tensor, W: torch.Tensor, stride: int, padding: int) -> tuple[torch.Tensor, Saved]:
    """Return the convolution with W (M, C, K, K), without bias as in ResNet: patches times weights."""
    kernel = W.shape[-1]
    height, width = ((size + 2 * padding - kernel) // stride + 1 for size in X.shape[-2:])
    Y = W.flatten(1) @ unfolded(X, kernel, stride, padding)  # (M, C K^2) (B, C K^2, positions)
    return Y.view(len(X), len(W), height, width), (X, W)


def convolution_backward(dY: torch.Tensor, saved: Saved, stride: int, padding: int) -> tuple[torch.Tensor, ...]:
    """Return dX and dW: a patch's gradient is W^T dY, a pixel's the sum over the patches that contain it."""
    X, W = saved
    kernel, dY = W.shape[-1], dY.flatten(2)  # (B, M, positions)
    dW = (dY @ unfolded(X, kernel, stride, padding).transpose(1, 2)).sum(dim=0).view_as(W)
    dX = functional.fold(W.flatten(1).T @ dY, X.shape[-2:], kernel, stride=stride, padding=padding)
    return dX, dW


def batch_norm(X: torch.Tensor, gamma: torch.Tensor, beta: torch.Tensor, eps: float) -> tuple[torch.Tensor, Saved]:
    """Return gamma (X - mean) / sqrt(var + eps) + beta in training mode: mean and variance are the batch's.

    Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
    """
    mean = X.mean(dim=(0, 2, 3), keepdim=True)
    deviation = ((X - mean).square().mean(dim=(0, 2, 3), keepdim=True) + eps).sqrt()
    normalised = (X - mean) / deviation
    return normalised * gamma.view(-1, 1, 1) + beta.view(-1, 1, 1), (normalised, deviation, gamma)


def batch_norm_backward(dY: torch.Tensor, saved: Saved) -> tuple[torch.Tensor, ...]:
    """Return dX, dgamma and dbeta; mean and variance depend on every pixel of the batch, hence the two means."""
    normalised, deviation, gamma = saved
    over = (0, 2, 3)
    dgamma, dbeta = (dY * normalised).sum(dim=over), dY.sum(dim=over)
    along = normalised * (dY * normalised).mean(dim=over, keepdim=True)
    dX = gamma.view(-1, 1, 1) / deviation * (dY - dY.mean(dim=over, keepdim=True) - along)
    return dX, dgamma, dbeta


def relu(X: torch.Tensor) -> tuple[torch.Tensor, Saved]:
    """Return the positive part of each entry."""
    return X.clamp(min=0), (X > 0,)


def relu_backward(dY: torch.Tensor, saved: Saved) -> torch.Tensor:
    """Return dX: the gradient passes where the entry was positive."""
    return dY * saved[0]


def max_pool(X: torch.Tensor, kernel: int, stride: int, padding: int) -> tuple[torch.Tensor, Saved]:
    """Return the largest entry of each patch; the padding is -inf."""
    height, width = ((size + 2 * padding - kernel) // stride + 1 for size in X.shape[-2:])
    padded = functional.pad(X, (padding,) * 4, value=-torch.inf)
    patches = unfolded(padded, kernel, stride, 0).view(*X.shape[:2], kernel**2, -1)
    Y, largest = patches.max(dim=2)  # (B, C, positions)
    return Y.view(*X.shape[:2], height, width), (X, largest)


def max_pool_backward(dY: torch.Tensor, saved: Saved, kernel: int, stride: int, padding: int) -> torch.Tensor:
    """Return dX: the gradient of each patch goes to its largest entry."""
    X, largest = saved
    patches = torch.zeros(*X.shape[:2], kernel**2, largest.shape[-1], dtype=X.dtype)
    patches.scatter_(2, largest[:, :, None], dY.flatten(2)[:, :, None])
    return functional.fold(patches.flatten(1, 2), X.shape[-2:], kernel, stride=stride, padding=padding)


def average_pool(X: torch.Tensor) -> tuple[torch.Tensor, Saved]:
    """Return the mean of each channel, (B, C): ResNet's global pooling."""
    return X.mean(dim=(2, 3)), (X,)


def average_pool_backward(dY: torch.Tensor, saved: Saved) -> torch.Tensor:
    """Return dX: every pixel has the same share in its channel's mean."""
    (X,) = saved
    return (dY / (X.shape[2] * X.shape[3]))[:, :, None, None].expand_as(X)


def residual_sum(X: torch.Tensor, branch: torch.Tensor) -> torch.Tensor:
    """Return the sum of the shortcut and the branch."""
    return X + branch


def residual_sum_backward(dY: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of both summands: each is dY."""
    return dY, dY


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Saved]:
    """Return the mean over the batch of -log softmax(logits)[label], for logits (B, classes)."""
    shifted = logits - logits.max(dim=1, keepdim=True).values  # exp stays finite
    log_softmax = shifted - shifted.exp().sum(dim=1, keepdim=True).log()
    return -log_softmax.gather(1, labels[:, None]).mean(), (log_softmax, labels)


def cross_entropy_backward(saved: Saved) -> torch.Tensor:
    """Return dlogits: (softmax - one-hot) / B."""
    log_softmax, labels = saved
    one_hot = functional.one_hot(labels, log_softmax.shape[1])
    return (log_softmax.exp() - one_hot) / len(labels)


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
