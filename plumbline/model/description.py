"""Read what a model file says of its weights, without torch: importing that takes seconds.

The file's metadata have one entry, `plumbline`: the fields of `Description` as a JSON object. Files from before that
have one entry a field, and are read as well.
"""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from plumbline.model.file_kinds import kind_of_file
from plumbline.run.errors import UserError

KINDS_OF_VALUES = ("integers", "floats")
ENTRY = "plumbline"
LARGEST_SIDE = 4096  # pixels; as in params.yaml
MOST_CLASSES = 100_000
FITS = ("crop", "pad", "squash")
PADDING = (124, 116, 104)  # the colour beside an image that is padded, as in plumbline.images
INTERPOLATIONS = ("bilinear", "bicubic")
JSON_BEFORE = ("classes", "transform", "parameters", "temperature")  # in files with one entry a field
LARGEST_FILE = 8 * 2**30  # bytes; vit_h_14 has 2.5e9
LONGEST_REASON = 200  # characters


@dataclass(frozen=True)
class Transform:
    """How an image becomes the network's input. Sizes in pixels; mean and std of pixels in [0, 1].

    Raises ValueError for one that no parameters give: a file may say anything.
    """

    resize: int
    crop: int
    mean: list[float]  # red, green, blue
    std: list[float]
    value_ranges: dict[str, list[float]] | None = None  # values of black and white, of images of more than 8 bits
    fit: str = "crop"  # the centre square of an image; pad or squash: all of it
    interpolation: str = "bilinear"

    def __post_init__(self) -> None:
        sizes = (self.crop, self.resize)
        if any(type(size) is not int for size in sizes) or not 1 <= self.crop <= self.resize <= LARGEST_SIDE:
            raise ValueError(f"the transform's crop and resize are {self.crop!r} and {self.resize!r}")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if not isinstance(values, list) or len(values) != 3 or not all(is_finite(value) for value in values):
                raise ValueError(f"the transform's {name} is {values!r}")
        if min(self.std) <= 0:
            raise ValueError(f"the transform's std is {self.std!r}")
        if self.value_ranges is not None and not are_ranges(self.value_ranges):
            raise ValueError(f"the transform's value_ranges are {self.value_ranges!r}")
        if self.fit not in FITS or self.interpolation not in INTERPOLATIONS:
            raise ValueError(f"the transform's fit and interpolation are {self.fit!r} and {self.interpolation!r}")

    def how_to_resize(self) -> str:
        """Say in words how an image becomes a square of `resize` pixels."""
        size = f"{self.resize} pixels, {self.interpolation}"
        match self.fit:
            case "crop":
                return f"the shorter side resized to {size}, then the centre square cut"
            case "pad":
                return f"the longer side resized to {size}, then centred on a square of the colour {PADDING}"
            case _:
                return f"both sides resized to {size}"


def are_ranges(ranges: object) -> bool:
    """Return whether each kind of values has two finite numbers that rise. Raises as `is_finite`."""
    return isinstance(ranges, dict) and all(
        kind in KINDS_OF_VALUES and len(values) == 2 and all(map(is_finite, values)) and values[0] < values[1]
        for kind, values in ranges.items()
    )


def is_finite(value: object) -> bool:
    """Return whether a value is a number, and finite. Raises TypeError or OverflowError for what cannot become one."""
    return not isinstance(value, bool) and math.isfinite(value)


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

    @property
    def is_repeatable(self) -> bool:
        """Whether it was trained with operations alone that torch can repeat to the bit; so if nothing is said."""
        recipe = self.parameters.get("finetune")
        return not (isinstance(recipe, dict) and recipe.get("deterministic") is False)


def read_description(path: Path) -> Description:
    """Read the description of a model that `write_model` wrote. Raises UserError for any other file."""
    with one_line_for(path), safe_open(path, framework="numpy") as file:
        return Description(**fields_of(file.metadata() or {}))


@contextmanager
def one_line_for(path: Path) -> Iterator[None]:
    """Raise UserError, within the block, for a file that is no model file."""
    if path.exists() and not path.is_file():
        raise UserError(f"{path} is no file: name a .safetensors file that Plumbline wrote")
    if path.exists() and path.stat().st_size > LARGEST_FILE:
        raise UserError(
            f"{path} has {path.stat().st_size / 2**30:,.0f} GiB, more than the {LARGEST_FILE / 2**30:g} of any model: "
            "name a .safetensors file that Plumbline wrote"
        )
    try:
        yield
    except FileNotFoundError:
        if path.exists():  # safetensors says so of a file that may not be read, too
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path)) from None
        raise UserError(f"there is no model file {path}: `dvc repro` makes it, `dvc pull` fetches it") from None
    except SafetensorError as error:
        kind = kind_of_file(path)
        what = f"is {kind}" if kind else f"is not a whole safetensors file ({error})"
        raise UserError(f"{path} {what}: `dvc checkout` or `dvc repro` restores a model file") from None
    except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UserError(
            f"{path} lacks Plumbline's metadata ({str(error)[:LONGEST_REASON]}): "
            "another program wrote it, or changed it"
        ) from None


def fields_of(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return a description's fields.

    Raises KeyError, TypeError, ValueError, OverflowError or RecursionError for metadata that are not Plumbline's.
    """
    if ENTRY in metadata:
        entry = json.loads(metadata[ENTRY])
    else:
        entry = dict(metadata) | {key: json.loads(metadata[key]) for key in JSON_BEFORE}
    temperature = float(entry["temperature"])
    if not 0 < temperature < math.inf:
        raise ValueError(f"the temperature is {temperature}")
    if not isinstance(entry["parameters"], dict):
        raise ValueError("its parameters are no sections")
    return {
        "classes": class_names(entry["classes"]),
        "transform": Transform(**entry["transform"]),
        "parameters": entry["parameters"],
        "temperature": temperature,
    } | {key: printable(entry[key]) for key in ("architecture", "source", "sha256")}


def class_names(names: object) -> list[str]:
    """Return the class names that a file's metadata hold. Raises ValueError for anything but distinct names."""
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise ValueError("its classes are not a list of names")
    if len(names) > MOST_CLASSES:
        raise ValueError(f"it has {len(names)} classes, of which at most {MOST_CLASSES} are supported")
    if len(set(names)) < len(names):
        raise ValueError("two of its classes have one name")
    return [printable(name) for name in names]


def printable(text: object) -> str:
    """Return text that can be written as UTF-8. Raises TypeError or ValueError for anything else."""
    if not isinstance(text, str):
        raise TypeError(f"{text!r} is no text")
    text.encode()  # JSON can hold halves of characters
    return text
