"""Saliency points at what decides: a patch that alone makes the class, in a network built so and in a trained one."""

import pytest
import torch
from torch import nn
from torchvision.models import vit_b_32

from plumbline.model.families import build_network
from stages.gallery.saliency import GRAD_CAM, INPUT_GRADIENT, last_feature_map, method_of, saliency

SIZE, PATCH = 64, 16


def patches(images: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return noise with a patch somewhere, red for class 0 and green for class 1; classes; where the patch is."""
    chance = torch.Generator().manual_seed(seed)
    inputs = 0.3 * torch.randn(images, 3, SIZE, SIZE, generator=chance)
    classes = torch.arange(images) % 2
    within = torch.zeros(images, SIZE, SIZE, dtype=torch.bool)
    for i, (top, left) in enumerate(torch.randint(0, SIZE - PATCH, (images, 2), generator=chance).tolist()):
        within[i, top : top + PATCH, left : left + PATCH] = True
        inputs[i, classes[i], top : top + PATCH, left : left + PATCH] += 3
    return inputs, classes, within


def test_of_a_network_built_by_hand_the_heat_is_the_patch_to_the_pixel() -> None:
    # The feature maps are the patch's own pixels, the head reads one of them a class.
    network = nn.Sequential(
        nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2)
    )
    with torch.no_grad():
        network[0].weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])[..., None, None])
        network[4].weight.copy_(torch.eye(2))
    inputs, classes, within = patches(8, 0)
    inputs = torch.where(within[:, None], inputs.clamp_min(1), 0)
    heat = saliency(network, inputs, classes)
    for own, pixels, label, place in zip(heat, inputs, classes, within, strict=True):
        assert torch.allclose(own, pixels[label] / pixels[label].max())
        assert not own[~place].any()
    # The other class's map is all ones within the patch, and so says as much; of no channel at all there is no heat.
    with torch.no_grad():
        network[4].weight.zero_()
    assert not saliency(network, inputs, classes).any()


def convolutions(channels: int, outputs: int) -> list[nn.Module]:
    """Return the layers of one block, which halves the images' sides."""
    return [nn.Conv2d(channels, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]


@pytest.mark.medium
def test_of_a_trained_network_the_peak_lies_on_the_patch_and_covering_it_costs_most() -> None:
    torch.manual_seed(0)
    blocks = [*convolutions(3, 16), *convolutions(16, 32), *convolutions(32, 64)]
    network = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(30):
        inputs, classes, _ = patches(16, 100 + step)
        loss = nn.functional.cross_entropy(network.train()(inputs), classes)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    inputs, classes, within = patches(40, 1)
    assert (network.eval()(inputs).argmax(dim=1) == classes).float().mean() > 0.95
    heat = saliency(network, inputs, classes)
    cell = SIZE // heat_cells(network, inputs)
    near = nn.functional.max_pool2d(within[:, None].float(), 2 * cell + 1, stride=1, padding=cell)[:, 0] > 0
    peaks = heat.flatten(1).argmax(dim=1)
    assert near.flatten(1).gather(1, peaks[:, None]).float().mean() >= 0.9
    # An oracle without gradients: hide the hottest quarter, or the coldest.
    order = heat.flatten(1).argsort(dim=1)
    quarter = SIZE * SIZE // 4
    drops = []
    for hidden in (order[:, -quarter:], order[:, :quarter]):
        covered = inputs.flatten(2).clone().scatter(2, hidden[:, None].expand(-1, 3, -1), 0).view_as(inputs)
        with torch.no_grad():
            drops.append((network(inputs) - network(covered)).gather(1, classes[:, None]).mean().item())
    assert drops[0] > 3 * abs(drops[1])


def heat_cells(network: nn.Module, inputs: torch.Tensor) -> int:
    """Return how many cells the last feature map has along a side."""
    sizes = []
    hook = last_feature_map(network, inputs[:1]).register_forward_hook(
        lambda module, args, out: sizes.append(out.shape[-1])
    )
    with torch.no_grad():
        network(inputs[:1])
    hook.remove()
    return sizes[0]


@pytest.mark.parametrize(
    ("architecture", "size", "last"),
    [
        ("resnet18", 224, "layer4"),
        ("resnet18", 32, "layer3"),
        ("densenet121", 64, "features"),
        ("swin_t", 64, "permute"),
    ],
)
def test_the_map_is_the_last_one_of_more_than_one_pixel(architecture: str, size: int, last: str) -> None:
    network = build_network(architecture, 2).eval()
    found = last_feature_map(network, torch.zeros(1, 3, size, size))
    assert found is network.get_submodule(last)


@pytest.mark.medium
@pytest.mark.parametrize(
    "architecture",
    ["resnet18", "densenet121", "vgg11", "mobilenet_v3_small", "squeezenet1_1", "shufflenet_v2_x0_5", "swin_t"],
)
def test_it_looks_into_every_kind_of_convolutional_or_hierarchical_network(architecture: str) -> None:
    torch.manual_seed(0)
    network = build_network(architecture, 3)
    inputs = torch.randn(1, 3, 64, 64)
    assert method_of(network, inputs) == GRAD_CAM
    found = [saliency(network, inputs, torch.tensor([label])) for label in range(3)]
    assert all(heat.shape == (1, 64, 64) and heat.min() >= 0 and heat.max() in (0, 1) for heat in found)
    assert any(heat.any() for heat in found)


def test_a_vision_transformer_is_looked_into_by_the_inputs_gradient() -> None:
    torch.manual_seed(0)
    network = vit_b_32(image_size=64, num_classes=2)
    nn.init.normal_(network.heads.head.weight)
    inputs = torch.randn(1, 3, 64, 64)
    assert method_of(network, inputs) == INPUT_GRADIENT
    heat = saliency(network, inputs, torch.tensor([1]))
    assert heat.shape == (1, 64, 64)
    assert heat.max() == 1
