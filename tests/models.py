"""Small models for tests."""

from typing import Any

import torch

from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.model.networks import build_network


def small_model(**changes: Any) -> Model:
    """Return a ResNet18 with random weights for images of 40 pixels, of which it sees 32, and three classes."""
    torch.manual_seed(0)
    values = {
        "architecture": "resnet18",
        "classes": ["ant", "bee", "cat"],
        "transform": Transform(40, 32, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        "parameters": {"seed": 0, "finetune": {"lr": 0.001}},
        "source": "models/backbone.safetensors",
        "sha256": "ab" * 32,
        "temperature": 1.5,
    } | changes
    if "tensors" not in values:
        network = build_network(values["architecture"], len(values["classes"]))
        values["tensors"] = network.state_dict()
    return Model(**values)
