"""Batch normalisation over several processes is what it was in one: here over a group of one process alone."""

import copy
from collections.abc import Iterator

import pytest
import timm
import torch
import torch.distributed as dist
import torchvision
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from plumbline.run.errors import UserError
from stages.finetune.synchronised_batch_norm import SynchronisedBatchNorm, synchronised


@pytest.fixture(autouse=True)
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


class Flat(nn.Sequential):
    """A network with batch normalisation of vectors, and of sequences."""

    def __init__(self) -> None:
        sequences = nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4, momentum=None), nn.ReLU(), nn.Flatten()
        super().__init__(nn.Flatten(2), *sequences, nn.LazyLinear(5), nn.BatchNorm1d(5))


NETWORKS = {
    "torchvision": lambda: torchvision.models.resnet18(num_classes=2),
    "timm, with the activation within": lambda: timm.create_model("tf_efficientnet_lite0", num_classes=2),
    "vectors and sequences": Flat,
}


@pytest.mark.medium
@pytest.mark.parametrize("name", NETWORKS)
def test_the_network_computes_and_learns_as_before_and_its_tensors_keep_their_names(name: str) -> None:
    torch.manual_seed(0)
    plain, inputs = NETWORKS[name]().double(), torch.randn(4, 3, 32, 32, dtype=torch.float64)
    plain.eval()(inputs)  # a lazy layer learns its size
    over_all = synchronised(copy.deepcopy(plain))
    assert over_all.state_dict().keys() == plain.state_dict().keys()
    replaced = [module for module in over_all.modules() if isinstance(module, _BatchNorm)]
    assert {type(module) for module in replaced} == {SynchronisedBatchNorm}
    outputs = []
    for network in (plain, over_all):
        torch.manual_seed(1)  # dropout
        for _ in range(2):
            outputs.append(network.train()(inputs))
            outputs[-1].square().sum().backward()
        outputs.append(network.eval()(inputs))
    for ours, theirs in zip(outputs[3:], outputs[:3], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    largest = max(parameter.grad.abs().max().item() for parameter in plain.parameters())
    for (key, ours), theirs in zip(over_all.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-11 * largest, msg=key)
    for key, value in plain.state_dict().items():
        torch.testing.assert_close(over_all.state_dict()[key], value, rtol=1e-9, atol=1e-9)


def test_one_value_a_channel_is_refused_as_torch_refuses_it() -> None:
    norm = synchronised(nn.Sequential(nn.BatchNorm2d(3)))
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):
        norm(torch.ones(1, 3, 1, 1))
    assert torch.equal(norm[0].running_var, torch.ones(3))


class Odd(nn.BatchNorm2d):
    """Batch normalisation that does something else besides."""


@pytest.mark.parametrize(
    "norm", [Odd(3), nn.BatchNorm2d(3, affine=False), nn.BatchNorm2d(3, track_running_stats=False)]
)
def test_another_kind_is_refused_in_one_line(norm: nn.Module) -> None:
    with pytest.raises(
        UserError, match=rf"a kind that several processes cannot share \({type(norm).__name__}\): train"
    ):
        synchronised(nn.Sequential(norm))
