"""Read and write models as safetensors files: weights, and what a reader must know to use them.

Nothing here unpickles anything.
"""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from plumbline.model.description import ENTRY, Description, Transform, fields_of, one_line_for
from plumbline.model.head import head_name
from plumbline.model.networks import network_from_tensors, refuse_image_size, refuse_not_finite, shape_of_network
from plumbline.model.unknown import PREFIX, NetworkWithDistance, features_taken, network_tensors, score_of
from plumbline.run.outputs import whole_file


@dataclass(frozen=True, kw_only=True)
class Model(Description):
    """Weights, by torchvision's names, and their description; with the score of unknown images, if it has one."""

    tensors: dict[str, torch.Tensor]

    @property
    def has_score(self) -> bool:
        """Whether it knows how far away an image is; models of older versions do not."""
        return any(key.startswith(PREFIX) for key in self.tensors)

    def network(self) -> nn.Module:
        """Return the network with these weights. Raises UserError unless it has such weights and takes such images."""
        shape = shape_of_network(self.architecture, len(self.classes))
        refuse_image_size(shape, self.transform.crop, "image.crop")
        return network_from_tensors(self.architecture, network_tensors(self.tensors), len(self.classes))

    def network_with_distance(self) -> NetworkWithDistance | None:
        """Return the network with the score of unknown images; None for a model that has none.

        Raises UserError as `network`, and for a score that does not fit the network.
        """
        network, head = self.network(), head_name(self.architecture)
        score = score_of(self.tensors, features_taken(network, head))
        return None if score is None else NetworkWithDistance(network, head, score)


def write_model(path: Path, model: Model) -> None:
    """Write a model as safetensors: the same model gives the same bytes."""
    described = {field.name: getattr(model, field.name) for field in fields(Description)}
    # One entry: the library writes several in random order.
    metadata = {ENTRY: json.dumps(described, default=fields_set, ensure_ascii=False)}
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.tensors.items()}
    with whole_file(path) as partial:
        partial.write_bytes(save(tensors, metadata))


def fields_set(transform: Transform) -> dict[str, object]:
    """Return the fields of a transform that differ from their defaults."""
    return {each.name: value for each in fields(Transform) if (value := getattr(transform, each.name)) != each.default}


def read_model(path: Path) -> Model:
    """Read a model that `write_model` wrote. Raises UserError for any other file, and for NaN or infinity in one."""
    with one_line_for(path), safe_open(path, framework="pt") as file:
        described = fields_of(file.metadata() or {})
        tensors = {key: file.get_tensor(key) for key in file.keys()}
    refuse_not_finite(tensors, str(path))
    return Model(**described, tensors=tensors)
