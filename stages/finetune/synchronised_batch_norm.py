"""Batch normalisation with one mean and one variance for a batch that several processes share.

Source: torch.nn.SyncBatchNorm, which does it on GPUs alone.
"""

import torch
import torch.distributed as dist
from torch import nn


class SumOverProcesses(torch.autograd.Function):
    """The sum over all processes; what flows back to each is the sum of what flows back in all."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class SynchronisedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation of X, (B, channels, H, W), of which each process has some images, perhaps none.

    torch's SyncBatchNorm does it on GPUs alone; this does the same on processors.
    """

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return what nn.BatchNorm2d returns for this process's images in a batch with all the others'."""
        if not self.training:
            return super().forward(X)
        over, values = (0, 2, 3), X.to(self.weight.dtype)
        count = torch.tensor([X.numel() / X.shape[1]], device=X.device)
        dist.all_reduce(count)
        mean = SumOverProcesses.apply(values.sum(over)) / count
        centred = values - mean.view(1, -1, 1, 1)
        variance = SumOverProcesses.apply(centred.square().sum(over)) / count  # in two passes, for precision
        self.remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)).to(X.dtype)

    def remember(self, mean: torch.Tensor, variance: torch.Tensor, count: torch.Tensor) -> None:
        """Move the running mean and the running, unbiased, variance towards the batch's."""
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)


def synchronised(network: nn.Module) -> nn.Module:
    """Return the network with every batch normalisation over all processes; its tensors and their names stay."""
    if next(network.parameters()).device.type == "cuda":
        return nn.SyncBatchNorm.convert_sync_batchnorm(network)
    for module in network.modules():
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, like(child))
    return network


def like(norm: nn.BatchNorm2d) -> SynchronisedBatchNorm:
    """Return a synchronised batch normalisation with the same tensors."""
    place = {"device": norm.weight.device, "dtype": norm.weight.dtype}
    own = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum, **place)
    own.load_state_dict(norm.state_dict())
    return own
