"""Every torchvision classifier can be built, and its head found and replaced."""

import pytest
import torch
import torchvision

from plumbline.model.networks import build_network, head_keys, network_from_tensors, replace_head, shape_of_network
from plumbline.run.errors import UserError

# One of each family, with the layer that torchvision's documentation names as its classifier.
HEADS = {
    "alexnet": "classifier.6",
    "convnext_tiny": "classifier.2",
    "densenet121": "classifier",
    "efficientnet_b0": "classifier.1",
    "googlenet": "fc",
    "inception_v3": "fc",
    "maxvit_t": "classifier.5",
    "mnasnet0_5": "classifier.1",
    "mobilenet_v3_small": "classifier.3",
    "regnet_y_400mf": "fc",
    "resnet34": "fc",
    "shufflenet_v2_x0_5": "fc",
    "squeezenet1_1": "classifier.1",
    "swin_t": "head",
    "vgg11": "classifier.6",
    "vit_b_32": "heads.head",
}


@pytest.mark.filterwarnings("default")  # torchvision's own, in two families
@pytest.mark.parametrize("architecture", HEADS)
def test_the_head_is_the_layer_that_the_documentation_names(architecture: str) -> None:
    keys = head_keys(architecture)
    assert {key.rpartition(".")[0] for key in keys} == {HEADS[architecture]}


def test_replacing_the_head_is_the_homeworks_new_fc_on_an_unchanged_backbone() -> None:
    pretrained = torchvision.models.resnet18(num_classes=7)
    tensors = pretrained.state_dict()
    torch.manual_seed(0)
    network = replace_head("resnet18", tensors, 2)
    assert (network.fc.in_features, network.fc.out_features) == (512, 2)
    # torch's default initialisation of a linear layer: uniform within 1 / sqrt(inputs).
    assert 0 < network.fc.weight.abs().max() <= 512**-0.5
    for key, value in network.state_dict().items():
        assert key.startswith("fc.") or torch.equal(value, tensors[key])


def test_the_seed_decides_the_new_head() -> None:
    tensors = build_network("resnet18", 5).state_dict()

    def head(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return replace_head("resnet18", tensors, 2).fc.weight

    assert torch.equal(head(1), head(1))
    assert not torch.equal(head(1), head(2))


def test_an_unknown_architecture_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"'resnet43', which is none of torchvision's classifiers; did you mean resnet"):
        build_network("resnet43", 2)
    with pytest.raises(UserError, match="torchvision has alexnet, "):
        build_network("perceptron", 2)


def test_weights_of_another_network_are_refused_by_the_tensor_that_differs() -> None:
    tensors = build_network("resnet18", 2).state_dict()
    with pytest.raises(UserError, match=r"lack layer1\.2\.bn1\.bias, which resnet34 has"):
        network_from_tensors("resnet34", tensors, 2)
    with pytest.raises(UserError, match="hold extra, which resnet18 lacks"):
        network_from_tensors("resnet18", tensors | {"extra": torch.zeros(1)}, 2)
    with pytest.raises(UserError, match=r"fc\.bias has the shape \(2,\), in resnet18 it is \(3,\)"):
        network_from_tensors("resnet18", tensors, 3)


@pytest.mark.parametrize("architecture", ["resnet18", "regnet_y_400mf"])
def test_the_shape_of_a_network_takes_no_memory(architecture: str) -> None:
    network = shape_of_network(architecture, 5)
    expected = build_network(architecture, 5).state_dict()
    assert {key: value.shape for key, value in network.state_dict().items()} == {
        key: value.shape for key, value in expected.items()
    }
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}
