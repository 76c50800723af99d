"""Small models for tests."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from plumbline.model.description import Transform
from plumbline.model.families import build_network
from plumbline.model.model_file import Model, write_model
from plumbline.training.splits import Split
from stages.finetune.finished_model import finished

FINETUNED = Path("models/finetuned.safetensors")
SMALL = "timm/test_resnet"  # a ResNet of four blocks and 0.4 million parameters, with ResNet18's names of layers
# What the curvature stage measured: the limit of the learning rate is 2 (1 + 0.9) / 100, half to twice that.
CURVATURES = {"largest_curvature": 100.0, "largest_curvature_low": 50.0, "largest_curvature_high": 200.0}

RECIPE = {
    "head": "random",
    "optimiser": "sgd",
    "freeze": None,
    "freeze_statistics": False,
    "first_layer_lr": 1.0,
    "lr": 0.019,
    "schedule": "constant",
    "warmup_epochs": 0,
    "momentum": 0.9,
    "weight_decay": 0.0,
    "clip_norm": None,
    "class_weights": "none",
    "label_smoothing": 0.0,
    "sampler": "shuffle",
    "deterministic": True,
    "augment": {"mixup": 0.0, "cutmix": 0.0},
}


def small_model(**changes: Any) -> Model:
    """Return a small ResNet with random weights for images of 40 pixels, of which it sees 32, and three classes."""
    torch.manual_seed(0)
    values = {
        "architecture": SMALL,
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


def split_of_noise(images: int, seed: int, size: int = 40, classes: int = 3) -> Split:
    """Return images of noise, of the classes in turn."""
    pixels = np.random.default_rng(seed).integers(0, 256, (images, size, size, 3), dtype=np.uint8)
    return Split(
        torch.from_numpy(pixels),
        torch.arange(images) % classes,
        [""] * images,
        [""] * images,
        torch.full((images,), size),
    )


def with_score(model: Model, val_images: int = 24) -> Model:
    """Return a model with what `finetune` adds to the weights, from images of noise."""
    size, classes = model.transform.resize, len(model.classes)
    splits = (split_of_noise(images, seed, size, classes) for images, seed in ((12, 0), (val_images, 1)))
    return finished(model, *splits)


def write_random_model(
    classes: list[str], resize: int = 40, path: Path = FINETUNED, temperature: float = 1.0, keep: str = "last"
) -> Model:
    """Write a small ResNet with random weights, as finetune wrote it before it knew unknown images."""
    torch.manual_seed(3)
    tensors = build_network(SMALL, len(classes)).state_dict()
    transform = Transform(resize, 33, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    model = Model(
        architecture=SMALL,
        classes=classes,
        transform=transform,
        parameters={"finetune": RECIPE | {"keep": keep, "patience": None}},
        source="none",
        sha256="",
        tensors=tensors,
        temperature=temperature,
    )
    write_model(path, model)
    return model
