"""Read and write models as safetensors files: weights, and what a reader must know to use them.

The metadata's values are text: `architecture` and `source` as they are; `classes`, `transform` and
`parameters` as JSON; `temperature` as a number; `sha256` of the file that the weights came from, empty
if they came from none.
Nothing here unpickles anything.
"""

import json
import math
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from plumbline.model.networks import network_from_tensors
from plumbline.run.errors import UserError
from plumbline.run.outputs import whole_file

LARGEST_SIDE = 4096  # pixels; as in params.yaml


@dataclass(frozen=True)
class Transform:
    """How an image becomes the network's input. Sizes in pixels; mean and std of pixels in [0, 1].

    Raises ValueError for one that no parameters give: a file may say anything.
    """

    resize: int
    crop: int
    mean: list[float]  # red, green, blue
    std: list[float]

    def __post_init__(self) -> None:
        sizes = (self.crop, self.resize)
        if any(type(size) is not int for size in sizes) or not 1 <= self.crop <= self.resize <= LARGEST_SIDE:
            raise ValueError(f"the transform's crop and resize are {self.crop!r} and {self.resize!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != 3 or not all(math.isfinite(value) for value in values):
                raise ValueError(f"the transform's {name} is {values!r}")
        if min(self.std) <= 0:
            raise ValueError(f"the transform's std is {self.std!r}")


@dataclass(frozen=True)
class Model:
    """Weights, by torchvision's names, and their description."""

    architecture: str
    classes: list[str]  # in label order
    transform: Transform
    parameters: dict[str, Any]  # of params.yaml, that made it
    source: str  # what it was made from
    sha256: str  # of the file that it was made from
    tensors: dict[str, torch.Tensor]
    temperature: float = 1.0  # that divides the logits, so that the probabilities are true on val

    def network(self) -> nn.Module:
        """Return the network with these weights."""
        return network_from_tensors(self.architecture, self.tensors, len(self.classes))


def class_names(text: str) -> list[str]:
    """Return the class names that a file's metadata hold. Raises ValueError for anything but distinct names."""
    names = json.loads(text)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("its classes are not a list of names")
    if len(set(names)) < len(names):
        raise ValueError("two of its classes have one name")
    return names


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
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file: name a .safetensors file that Plumbline wrote")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}
        temperature = float(metadata["temperature"])
        if not 0 < temperature < math.inf:
            raise ValueError(f"the temperature is {temperature}")
        return Model(
            architecture=metadata["architecture"],
            classes=class_names(metadata["classes"]),
            transform=Transform(**json.loads(metadata["transform"])),
            parameters=json.loads(metadata["parameters"]),
            source=metadata["source"],
            sha256=metadata["sha256"],
            tensors=tensors,
            temperature=temperature,
        )
    except FileNotFoundError:
        raise UserError(f"there is no model file {path}: `dvc repro` makes it, `dvc pull` fetches it") from None
    except SafetensorError as error:
        raise UserError(
            f"{path} is not a whole safetensors file ({error}): `dvc checkout` or `dvc repro` restores it"
        ) from None
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path} lacks Plumbline's metadata ({error}): another program wrote it, or changed it"
        ) from None
