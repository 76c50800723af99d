"""Logits and features are those of the plain network, in the images' order."""

import pytest
import torch
from torch import nn

from plumbline.model.description import Transform
from plumbline.model.families import build_network
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import features_of, inputs_of, logits_of

TRANSFORM = Transform(40, 33, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.mark.parametrize(("architecture", "head"), [("resnet18", "fc"), ("mobilenet_v3_small", "classifier.3")])
def test_both_are_those_of_the_network_without_batches(architecture: str, head: str) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (37, 40, 40, 3), dtype=torch.uint8)  # the last batch is smaller
    compute = choose_compute("float32")
    network = build_network(architecture, 3)
    logits = logits_of(network, images, TRANSFORM, compute)
    features = features_of(network, architecture, images, TRANSFORM, compute)
    inputs = torch.cat(list(inputs_of(images, TRANSFORM, compute)))
    with torch.no_grad():
        whole = network.eval()(inputs)
        last = network.get_submodule(head)
        name, _, leaf = head.rpartition(".")
        setattr(network.get_submodule(name), leaf, nn.Identity())
        before_head = network(inputs)
    assert torch.allclose(logits.float(), whole, atol=1e-5)
    assert torch.allclose(features.float(), before_head, atol=1e-5)
    assert torch.allclose(last(features.float()), whole, atol=1e-5)
