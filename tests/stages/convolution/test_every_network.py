"""Every classifier of torchvision: our prices against torch's count and against what torchvision publishes."""

import functools
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import vgg

from plumbline.checks.multiply_adds import counted_macs, multiplying_layers, number_of_parameters
from plumbline.model.networks import shape_of_network
from stages.convolution.network_table import as_published, parameters_left_out
from stages.convolution.receptive_field import receptive_fields

CLASSIFIERS = torchvision.models.list_models(module=torchvision.models)

# The prices of layers alone are the whole price, but for the networks that multiply matrices in attention too.
ATTENTIVE = {name for name in CLASSIFIERS if name.startswith(("vit_", "swin_", "maxvit_"))}
# The published parameters are the network's, but where training's auxiliary head is published along.
WITH_AUXILIARY = {"inception_v3"}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", CLASSIFIERS)
@pytest.mark.filterwarnings("default")  # torchvision's own, in two families
def test_the_price_of_every_classifier_is_what_torch_counts_and_torchvision_publishes(architecture: str) -> None:
    network = shape_of_network(architecture, 1000)
    counted = functools.cache(functools.partial(counted_macs, network))
    all_macs, outside = counted(224)
    layers = multiplying_layers(network, 224)
    assert sum(layer.macs for layer in layers) == all_macs - outside
    assert (outside > 0) == (architecture in ATTENTIVE)
    assert (parameters_left_out(architecture) > 0) == (architecture in WITH_AUXILIARY)
    parameters = number_of_parameters(network) + parameters_left_out(architecture)
    for published in set(map(as_published, torchvision.models.get_model_weights(architecture))):
        if published.takes(network):
            assert parameters == published.parameters
            assert round(counted(published.crop)[0] / 1e9, 3) == published.billions
        else:  # a vision transformer at another size has as many positions more
            with torch.device("meta"):
                larger = torchvision.models.get_model(architecture, image_size=published.crop)
            assert number_of_parameters(larger) == published.parameters
            assert round(counted_macs(larger, published.crop)[0] / 1e9, 3) == published.billions


def rows_seen(network: nn.Module, layer: str, size: int) -> int:
    """Return on how many rows of the image the middle value of a layer's output depends, by the gradient.

    With every weight 1 and every normalisation without effect, so that nothing cancels.
    """
    network = network.double().eval()
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    found = {}
    network.get_submodule(layer).register_forward_hook(lambda module, inputs, output: found.update(output=output))
    # Rising brightness: the largest of a pooling window is then one value and not all.
    image = torch.rand(1, 3, size, size, dtype=torch.float64).requires_grad_()
    network(image)
    output = found["output"]
    middle = output.shape[2] // 2
    (gradient,) = torch.autograd.grad(output[0, 0, middle, middle], image)
    rows = (gradient.abs().sum(dim=(0, 1, 3)) > 0).nonzero().flatten()
    return int(rows.max() - rows.min() + 1)


def toy() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 2, 3, stride=2), nn.Conv2d(2, 2, 3, dilation=3), nn.AvgPool2d(2), nn.Conv2d(2, 2, 5, stride=1)
    )


def vgg11s_features() -> nn.Module:
    """Return VGG-11 without its head, which has 0.5 GB of weights."""
    return vgg.make_layers(vgg.cfgs["A"])


@pytest.mark.medium
@pytest.mark.parametrize(
    ("build", "layer", "size"),
    [(toy, "0", 97), (toy, "1", 97), (toy, "3", 97), (vgg11s_features, "0", 224), (vgg11s_features, "8", 224)],
    ids=["stride", "dilation", "pooling", "vgg11 first", "vgg11 fourth"],
)
def test_a_receptive_field_is_what_the_gradient_reaches(build: Callable[[], nn.Module], layer: str, size: int) -> None:
    network = build()
    for name, module in network.named_modules():
        if isinstance(module, nn.MaxPool2d):  # the mean of a window depends on all of it, the largest on one
            network.set_submodule(name, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
    assert receptive_fields(network, size)[layer] == rows_seen(network, layer, size)


@pytest.mark.parametrize("layer", ["conv1", "layer1.0.conv2", "layer2.0.conv1", "layer2.1.conv2"])
def test_resnets_receptive_fields_are_what_the_gradient_reaches(layer: str) -> None:
    network = torchvision.models.resnet18()
    network.maxpool = nn.AvgPool2d(3, 2, 1)
    assert receptive_fields(network, 224)[layer] == rows_seen(network, layer, 224)


def rows_that_count(network: nn.Module, layers: list[str], size: int) -> dict[str, int]:
    """Return on how many rows of the image the middle value of each layer's output depends: NaN in one spreads to it."""
    reached = {layer: [] for layer in layers}

    def keep(layer: str, channels_last: bool, output: torch.Tensor) -> None:
        maps = output.movedim(-1, 1) if channels_last else output
        reached[layer].append(maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2].isnan().any(dim=1))

    for layer in layers:
        module = network.get_submodule(layer)
        last = isinstance(module, nn.Linear)
        module.register_forward_hook(lambda _, __, output, layer=layer, last=last: keep(layer, last, output))
    with torch.no_grad():
        for row in range(size):
            image = torch.zeros(1, 3, size, size)
            image[:, :, row] = torch.nan
            network.eval()(image)
    rows = {layer: torch.cat(flags).nonzero() for layer, flags in reached.items()}
    return {layer: int(own.max() - own.min() + 1) for layer, own in rows.items()}


@pytest.mark.medium
@pytest.mark.parametrize(
    ("architecture", "layers"),
    [
        ("shufflenet_v2_x0_5", ["stage2.0.branch1.2", "stage2.1.branch2.5", "stage3.0.branch1.2"]),
        ("convnext_tiny", ["features.1.0.block.3", "features.1.1.block.0", "features.1.2.block.5", "features.2.1"]),
    ],
)
def test_shuffled_channels_and_linear_layers_on_maps_see_no_further_than_nan_spreads(
    architecture: str, layers: list[str]
) -> None:
    network = torchvision.models.get_model(architecture, num_classes=2)
    fields = receptive_fields(network, 128)
    assert {layer: fields[layer] for layer in layers} == rows_that_count(network, layers, 128)


def test_behind_attention_in_windows_no_receptive_field_is_told_up_to_the_pooling() -> None:
    fields = receptive_fields(shape_of_network("swin_t", 1000), 224)
    assert fields == {"features.0.0": 4, "head": 224}
    of_vit = receptive_fields(shape_of_network("vit_b_32", 1000), 224)
    assert of_vit["conv_proj"] == 32
    assert of_vit["encoder.layers.encoder_layer_0.mlp.0"] == 224


def test_resnet34_sees_as_far_as_is_worked_by_hand() -> None:
    # conv1 7, pooling 7 + 2 * 2 = 11; layer1 six times 2 * 4: 59; layer2 2 * 4 and seven times 2 * 8: 179;
    # layer3 2 * 8 and eleven times 2 * 16: 547; layer4 2 * 16 and five times 2 * 32: 899, beyond 224 pixels.
    fields = receptive_fields(shape_of_network("resnet34", 1000), 2000)
    assert fields["layer4.2.conv2"] == 899
    assert receptive_fields(shape_of_network("resnet34", 1000), 224)["layer4.2.conv2"] == 224
