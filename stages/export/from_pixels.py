"""The network that is exported: from an image's pixels to its probabilities, and whether it is unknown."""

import json

import numpy as np
import torch
from torch import nn

from plumbline.model.model_file import Model, fields_set
from plumbline.model.val_images import val_images_of
from plumbline.run.paths import FINETUNED
from plumbline.training.network_input import to_input

INPUT = "images"
OUTPUTS = ("probabilities", "unknown", "p_known", "distance")  # of a model without a score the first alone


class FromPixels(nn.Module):
    """The trained network between the transform (crop, normalisation) and the softmax with the temperature.

    `keep` is the share of known images that are to be known to it.
    """

    def __init__(self, model: Model, keep: float) -> None:
        super().__init__()
        self.has_score, self.keep = model.has_score, keep
        self.network = model.network_with_distance() or model.network()
        self.transform = model.transform
        self.temperature = model.temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Return what OUTPUTS names of images, uint8 (N, resize, resize, 3): probabilities, float32 (N, classes);
        whether each is unknown, bool (N,); its p-value and its distance, float32 (N,)."""
        inputs = to_input(images, self.transform)
        if not self.has_score:
            return (self.network(inputs) / self.temperature).softmax(dim=1)
        logits, distance = self.network(inputs)
        score = self.network.score
        unknown, p_known = score.is_unknown(distance, self.keep), score.p_known(distance)
        return (logits / self.temperature).softmax(dim=1), unknown, p_known, distance


def exported_program(model: Model, keep: float) -> torch.export.ExportedProgram:
    """Return torch's graph of it, for any number of images, without paths of the machine that made it."""
    size = model.transform.resize
    images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(FromPixels(model, keep).eval(), (images,), dynamic_shapes={INPUT: {0: batch}})
    for module in program.graph_module.modules():
        for node in getattr(module, "graph", torch.fx.Graph()).nodes:
            node.meta.pop("stack_trace", None)  # it holds paths of source files
    return program


def val_description(labels: np.ndarray, relative_probability: np.ndarray) -> dict[str, str]:
    """Return the metadata from which prediction sets follow, for each val image (V,), as text."""
    shares = [float(f"{share:.9g}") for share in relative_probability]  # which float32 is read back from
    return {"val": json.dumps({"labels": labels.tolist(), "relative_probability": shares})}


def description(model: Model, sha256: str, keep: float) -> dict[str, str]:
    """Return the metadata that users of the file need, as text; `sha256` is that of models/finetuned.safetensors."""
    size = model.transform.resize
    probabilities, unknown, p_known, distance = OUTPUTS
    score = (
        f"; {unknown}: bool (batch,), where {keep:g} of the images like those of training are to be known; {p_known}: "
        f"float32 (batch,), how rarely such an image is as far from them; {distance}: float32 (batch,)"
    )
    val = val_images_of(model.tensors, len(model.classes))
    about_val = {} if val is None else val_description(val.labels.numpy(), val.relative_probability.numpy())
    return about_val | {
        "architecture": model.architecture,
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "input": (f"{INPUT}: uint8 (batch, {size}, {size}, 3), RGB, upright; {model.transform.how_to_resize()}"),
        "output": (
            f"{probabilities}: float32 (batch, {len(model.classes)}), in the order of classes, after the temperature"
            + (score if model.has_score else "")
        ),
        "parameters": json.dumps(model.parameters, ensure_ascii=False),
        "sha256": sha256,
        "source": FINETUNED.as_posix(),
        "temperature": repr(model.temperature),
        "transform": json.dumps(fields_set(model.transform)),
    }
