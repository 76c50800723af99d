"""Every torchvision classifier can be built, and its head found and replaced."""

import pytest
import torch
import torchvision

from plumbline.model.families import build_network
from plumbline.model.head import head_keys, head_name, replace_head
from plumbline.model.networks import (
    network_from_tensors,
    refuse_image_size,
    refuse_not_finite,
    run_on_shapes,
    shape_of_network,
)
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
    assert head_name(architecture) == HEADS[architecture]
    assert all(key.startswith(f"{HEADS[architecture]}.") for key in head_keys(architecture))


def test_replacing_the_head_is_the_homeworks_new_fc_on_an_unchanged_backbone() -> None:
    pretrained = torchvision.models.resnet18(num_classes=7)
    tensors = pretrained.state_dict()
    torch.manual_seed(0)
    network = replace_head("resnet18", tensors, 2, crop=224)
    assert (network.fc.in_features, network.fc.out_features) == (512, 2)
    # torch's default initialisation of a linear layer: uniform within 1 / sqrt(inputs).
    assert 0 < network.fc.weight.abs().max() <= 512**-0.5
    for key, value in network.state_dict().items():
        assert key.startswith("fc.") or torch.equal(value, tensors[key])


@pytest.mark.medium
def test_the_seed_decides_the_new_head() -> None:
    tensors = build_network("resnet18", 5).state_dict()

    def head(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return replace_head("resnet18", tensors, 2, crop=224).fc.weight

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


@pytest.mark.filterwarnings("default")  # torchvision's own, in two families
@pytest.mark.parametrize("architecture", HEADS)
def test_shapes_draw_no_random_number(architecture: str) -> None:
    """So that what looks at them first trains the same network as what does not."""
    torch.manual_seed(0)
    before = torch.get_rng_state()
    run_on_shapes(shape_of_network(architecture, 5), 224)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("architecture", ["alexnet", "vit_b_16", "inception_v3", "maxvit_t"])
def test_an_image_size_that_a_network_does_not_take_is_one_line(architecture: str) -> None:
    network = shape_of_network(architecture, 2)
    refuse_image_size(network, 224, "image.crop")
    with pytest.raises(UserError, match="^image.crop is 56, which this weights.architecture does not take") as error:
        refuse_image_size(network, 56, "image.crop")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_first_tensor_that_is_not_finite_is_named_with_its_file(dtype: torch.dtype) -> None:
    tensors = {"a": torch.arange(3), "b": torch.ones(2, 2, dtype=dtype), "c": torch.full((3,), torch.nan)}
    tensors["b"][0] = torch.inf
    with pytest.raises(UserError, match="^m.pth: 2 of the 4 values of b are NaN or infinite"):
        refuse_not_finite(tensors, "m.pth")
    refuse_not_finite({"a": tensors["a"], "b": torch.ones(2, dtype=dtype), "d": torch.ones(0)}, "m.pth")
