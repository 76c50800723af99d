"""Read what a model file says of its weights, without torch: importing that takes seconds.

The metadata's values are text: `architecture` and `source` as they are; `classes`, `transform` and
`parameters` as JSON; `temperature` as a number; `sha256` of the file that the weights came from, empty
if they came from none.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from plumbline.run.errors import UserError

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


@dataclass(frozen=True, kw_only=True)
class Description:
    """What stands beside the weights."""

    architecture: str
    classes: list[str]  # in label order
    transform: Transform
    parameters: dict[str, Any]  # of params.yaml, that made it
    source: str  # what it was made from
    sha256: str  # of the file that it was made from
    temperature: float = 1.0  # that divides the logits, so that the probabilities are true on val


def read_description(path: Path) -> Description:
    """Read the description of a model that `write_model` wrote. Raises UserError for any other file."""
    with one_line_for(path), safe_open(path, framework="numpy") as file:
        return Description(**fields_of(file.metadata() or {}))


@contextmanager
def one_line_for(path: Path) -> Iterator[None]:
    """Raise UserError, within the block, for a file that is no model file."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file: name a .safetensors file that Plumbline wrote")
    try:
        yield
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


def fields_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return a description's fields. Raises KeyError, TypeError or ValueError for metadata that are not Plumbline's."""
    temperature = float(metadata["temperature"])
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature is {temperature}")
    return {
        "architecture": metadata["architecture"],
        "classes": class_names(metadata["classes"]),
        "transform": Transform(**json.loads(metadata["transform"])),
        "parameters": json.loads(metadata["parameters"]),
        "source": metadata["source"],
        "sha256": metadata["sha256"],
        "temperature": temperature,
    }


def class_names(text: str) -> list[str]:
    """Return the class names that a file's metadata hold. Raises ValueError for anything but distinct names."""
    names = json.loads(text)
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("its classes are not a list of names")
    if len(set(names)) < len(names):
        raise ValueError("two of its classes have one name")
    return names
