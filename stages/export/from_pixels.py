"""The network that is exported: from an image's pixels to its probabilities."""

import json

import torch
from torch import nn

from plumbline.model.model_file import Model, fields_set
from plumbline.run.paths import FINETUNED
from plumbline.training.network_input import to_input

INPUT, OUTPUT = "images", "probabilities"


class FromPixels(nn.Module):
    """The trained network between the transform (crop, normalisation) and the softmax with the temperature."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network()
        self.transform = model.transform
        self.temperature = model.temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities, float32 (N, classes), of images, uint8 (N, resize, resize, 3)."""
        return (self.network(to_input(images, self.transform)) / self.temperature).softmax(dim=1)


def exported_program(model: Model) -> torch.export.ExportedProgram:
    """Return torch's graph of it, for any number of images, without paths of the machine that made it."""
    size = model.transform.resize
    images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(FromPixels(model).eval(), (images,), dynamic_shapes={INPUT: {0: batch}})
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)  # it holds paths of source files
    return program


def description(model: Model, sha256: str) -> dict[str, str]:
    """Return the metadata that users of the file need, as text; `sha256` is that of models/finetuned.safetensors."""
    size = model.transform.resize
    return {
        "architecture": model.architecture,
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "input": (f"{INPUT}: uint8 (batch, {size}, {size}, 3), RGB, upright; {model.transform.how_to_resize()}"),
        "output": f"{OUTPUT}: float32 (batch, {len(model.classes)}), in the order of classes, after the temperature",
        "parameters": json.dumps(model.parameters, ensure_ascii=False),
        "sha256": sha256,
        "source": FINETUNED.as_posix(),
        "temperature": repr(model.temperature),
        "transform": json.dumps(fields_set(model.transform)),
    }
