"""Read weights that other programs wrote, .safetensors or .pth, without running anything in them."""

import pickle
import re
import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from plumbline.run.errors import UserError

# Where training programs put the weights in a checkpoint, and what they put before each name.
NESTS = ("state_dict", "model_state_dict", "model")
PREFIXES = ("module.", "_orig_mod.")


def read_tensors(path: Path, source: str) -> dict[str, torch.Tensor]:
    """Return the tensors by torchvision's names.

    Raises UserError if the file is damaged, or holds anything but tensors (`weights_only`): a pickle
    that would run code is refused, never loaded.
    """
    contents = read_safetensors(path, source) if path.suffix == ".safetensors" else read_pth(path, source)
    for nest in NESTS:
        if isinstance(contents, dict) and isinstance(contents.get(nest), dict):
            contents = contents[nest]
    if not isinstance(contents, dict) or not all(isinstance(value, torch.Tensor) for value in contents.values()):
        raise UserError(f"{source} holds no dictionary of tensors: save a network's state_dict()")
    for prefix in PREFIXES:
        contents = {key.removeprefix(prefix): value for key, value in contents.items()}
    return with_batch_counters({modern_name(key): value for key, value in contents.items()})


def read_safetensors(path: Path, source: str) -> dict[str, torch.Tensor]:
    """Return the tensors of a safetensors file."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{source} is not a whole safetensors file: {error}") from None


def read_pth(path: Path, source: str) -> object:
    """Return what torch.save wrote, if it is made of tensors and plain containers alone."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise UserError(
            f"{source} holds more than tensors, and loading it could run its code: save a state_dict()"
        ) from None
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{source} is damaged, or no file of torch.save: {str(error).splitlines()[0]}") from None


def with_batch_counters(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors with the counter that files from before 2018 lack in each batch normalisation.

    Source: torch.nn.modules.batchnorm, _load_from_state_dict.
    """
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith("running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | tensors


def modern_name(key: str) -> str:
    """Return a tensor's name as torchvision has it today: DenseNet's files still say `norm.1` for `norm1`.

    Source: torchvision.models.densenet, _load_state_dict.
    """
    return re.sub(
        r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$", r"\1\2", key
    )
