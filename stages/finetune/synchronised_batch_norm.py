"""Batch normalisation with one mean and one variance for a batch that several processes share.

torch.nn.SyncBatchNorm is for GPUs alone, and drops the activation that timm's BatchNormAct2d applies behind it.
"""

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # the base of all of torch's and timm's

from plumbline.run.errors import UserError

PLAIN = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


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


class SynchronisedBatchNorm(_BatchNorm):
    """Batch normalisation of X, (B, channels, ...), of which each process has some images, perhaps none.

    Its children, if it has any, are applied behind it, in order: the dropout and the activation of timm's.
    """

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        """Return what the module in one process returns for this process's images in a batch with all the others'."""
        values = self.over_all_processes(X) if self.training else super().forward(X)
        for child in self.children():
            values = child(values)
        return values

    def over_all_processes(self, X: torch.Tensor) -> torch.Tensor:
        """Return X normalised by the mean and the variance over all processes, and remember both."""
        over, shape, values = [0, *range(2, X.dim())], (1, -1, *[1] * (X.dim() - 2)), X.to(self.weight.dtype)
        count = torch.tensor([X.numel() / X.shape[1]], device=X.device)
        dist.all_reduce(count)
        if X.numel() <= X.shape[1] and count <= 1:  # asked only of a process with at most one: a GPU waits for it
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {list(X.shape)}")
        mean = SumOverProcesses.apply(values.sum(over)) / count
        centred = values - mean.view(shape)
        variance = SumOverProcesses.apply(centred.square().sum(over)) / count  # in two passes, for precision
        self.remember(mean.detach(), variance.detach(), count)
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return (centred * scale.view(shape) + self.bias.view(shape)).to(X.dtype)

    def remember(self, mean: torch.Tensor, variance: torch.Tensor, count: torch.Tensor) -> None:
        """Move the running mean and the running, unbiased, variance towards the batch's."""
        self.num_batches_tracked.add_(1)
        share = self.momentum if self.momentum is not None else 1 / self.num_batches_tracked.item()
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * count / (count - 1), share)

    def _check_input_dim(self, X: torch.Tensor) -> None:
        """Take inputs of any dimension; the module that this one replaces was of the right one."""


def synchronised(network: nn.Module) -> nn.Module:
    """Return the network with every batch normalisation over all processes; its tensors and their names stay.

    Raises UserError for a kind of batch normalisation that is not torch's or timm's usual one.
    """
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, _BatchNorm) and not isinstance(child, SynchronisedBatchNorm):
                setattr(module, name, like(child))
    return network


def like(norm: _BatchNorm) -> SynchronisedBatchNorm:
    """Return a synchronised batch normalisation with the same tensors and children."""
    kind = type(norm)
    is_known = kind in PLAIN or (kind.__module__.startswith("timm.") and kind.__name__ == "BatchNormAct2d")
    if not is_known or norm.weight is None or norm.running_mean is None:
        raise UserError(
            f"the network has batch normalisation of a kind that several processes cannot share ({kind.__name__}): "
            "train in one process, or set finetune.freeze_statistics to true"
        )
    place = {"device": norm.weight.device, "dtype": norm.weight.dtype}
    replacement = SynchronisedBatchNorm(norm.num_features, norm.eps, norm.momentum, **place)
    for name, child in norm.named_children():
        replacement.add_module(name, child)
    replacement.load_state_dict(norm.state_dict())
    return replacement
