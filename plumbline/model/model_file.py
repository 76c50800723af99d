"""Read and write models as safetensors files: weights, and what a reader must know to use them.

Nothing here unpickles anything.
"""

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import nn

from plumbline.model.description import Description, fields_of, one_line_for
from plumbline.model.networks import network_from_tensors
from plumbline.run.outputs import whole_file


@dataclass(frozen=True, kw_only=True)
class Model(Description):
    """Weights, by torchvision's names, and their description."""

    tensors: dict[str, torch.Tensor]

    def network(self) -> nn.Module:
        """Return the network with these weights."""
        return network_from_tensors(self.architecture, self.tensors, len(self.classes))


def write_model(path: Path, model: Model) -> None:
    """Write a model as safetensors: the same model gives the same bytes."""
    metadata = {
        "architecture": model.architecture,
        "classes": json.dumps(model.classes, ensure_ascii=False),
        "transform": json.dumps(asdict(model.transform)),
        "parameters": json.dumps(model.parameters, ensure_ascii=False),
        "source": model.source,
        "sha256": model.sha256,
        "temperature": repr(model.temperature),
    }
    tensors = {key: value.detach().cpu().contiguous() for key, value in model.tensors.items()}
    with whole_file(path) as partial:
        partial.write_bytes(sort_header(save(tensors, metadata)))


def sort_header(contents: bytes) -> bytes:
    """Return a safetensors file with its metadata sorted; the library writes it in random order.

    The format: eight bytes with the header's length, the header as JSON padded with blanks, the tensors.
    Source: https://github.com/huggingface/safetensors, "Format".
    """
    (length,) = struct.unpack("<Q", contents[:8])
    header = json.loads(contents[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    encoded = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    encoded += b" " * (-len(encoded) % 8)  # the tensors stay aligned
    return struct.pack("<Q", len(encoded)) + encoded + contents[8 + length :]


def read_model(path: Path) -> Model:
    """Read a model that `write_model` wrote. Raises UserError for any other file."""
    with one_line_for(path), safe_open(path, framework="pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}
        return Model(**fields_of(file.metadata() or {}), tensors=tensors)
