"""Read weight files that other programs wrote, by safetensors or torch.save, without running anything in them.

What the tensors are called is no matter here: `tensor_names` finds a network's among them.
"""

import pickle
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from plumbline.model.file_kinds import LOOKED_AT, is_safetensors, kind_of_file
from plumbline.model.unknown import network_tensors
from plumbline.run.errors import UserError

Tensors = dict[str, torch.Tensor]

# Where training programs put the weights in a checkpoint, the usual choice first. Others are looked into after these.
NESTS = (
    "state_dict", "model_state_dict", "model", "model_state", "net", "network", "module", "weights", "backbone",
    "encoder", "model_ema", "ema", "ema_state_dict", "state_dict_ema", "teacher", "student",
)  # fmt: skip
DEEPEST = 4  # nests
CODE = re.compile(r"GLOBAL|Trying to call|Can only (create|build)")  # in torch's refusals of what could run code


def read_dictionaries(path: Path, source: str) -> dict[str, Tensors]:
    """Return each dictionary of tensors in the file, by where it stands there: "" or "model.state_dict".

    Raises UserError if the file is damaged, or holds anything but tensors and plain containers: a pickle that would
    run code is refused, never loaded.
    """
    kind = kind_of_file(path)
    if kind is not None:
        raise UserError(f"{source} is {kind}; a .safetensors file or one of torch.save is needed")
    with path.open("rb") as file:
        contents = read_safetensors if is_safetensors(file.read(LOOKED_AT)) else read_pth
    tensors_by_place = dict(dictionaries(contents(path, source)))
    if not tensors_by_place:
        raise UserError(f"{source} holds no dictionary of tensors: save a network's state_dict()")
    for where, tensors in tensors_by_place.items():
        for key, value in tensors.items():
            refuse_odd_tensor(value, f"{source}: {where}{'.' if where else ''}{key}")
    return tensors_by_place


def read_safetensors(path: Path, source: str) -> Tensors:
    """Return the tensors of a safetensors file, of one of Plumbline's without its score of unknown images."""
    try:
        return network_tensors(load_file(path))
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"{source} is not a whole safetensors file: {first_line(error)}") from None


def read_pth(path: Path, source: str) -> object:
    """Return what torch.save wrote, if it is made of tensors and plain containers alone."""
    try:
        # The open file: of a path torch would look at the suffix. Its warnings name no file.
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except PermissionError:
        raise
    except pickle.UnpicklingError as error:
        if CODE.search(str(error)):
            raise UserError(
                f"{source} holds more than tensors, and loading it could run its code: save a state_dict()"
            ) from None
        raise UserError(f"{source} is damaged, or no file of torch.save with its usual pickle protocol") from None
    except Exception as error:  # whatever torch makes of bytes that are no pickle of its own: the file caused it
        raise UserError(f"{source} is damaged, or no file of torch.save: {first_line(error)}") from None


def first_line(error: Exception) -> str:
    """Return the first line of an error, or its name if it has none."""
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def dictionaries(contents: object, where: tuple[str, ...] = ()) -> Iterator[tuple[str, Tensors]]:
    """Yield each dictionary of tensors alone, and where it stands, the outermost and the usual names first."""
    if not isinstance(contents, dict) or len(where) > DEEPEST:
        return
    if contents and all(isinstance(k, str) and isinstance(v, torch.Tensor) for k, v in contents.items()):
        yield ".".join(where), dict(contents)
        return
    names = [key for key in contents if isinstance(key, str)]
    for name in sorted(names, key=lambda name: NESTS.index(name) if name in NESTS else len(NESTS)):
        yield from dictionaries(contents[name], (*where, name))


def refuse_odd_tensor(value: torch.Tensor, name: str) -> None:
    """Raise UserError for a tensor that is no plain array of numbers that the file holds."""
    if value.is_meta:
        raise UserError(f"{name} has a shape and no values (it is on torch's meta device): save the trained weights")
    if value.layout != torch.strided or value.is_nested:
        raise UserError(f"{name} is sparse or nested, which is not supported: save it as a plain tensor")
    if value.numel() * value.itemsize > value.untyped_storage().nbytes():
        raise UserError(f"{name} claims {value.numel()} values, of which the file holds fewer: it is damaged")
