"""Look at a network's shapes, and give it tensors. `families` builds it, `head` tells its head from its backbone."""

from collections.abc import Callable

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from plumbline.model.families import build_network, usual_size
from plumbline.run.errors import UserError

WEIGHT_TYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


class ParametersOnMeta(TorchFunctionMode):
    """Makes new parameters on torch's meta device, and other tensors as ever: RegNet computes its widths with some."""

    def __torch_function__(self, function: Callable, types: object, args: tuple = (), options: dict | None = None):
        options = options or {}
        return function(*args, **(options | {"device": "meta"} if function is torch.empty else options))


def shape_of_network(architecture: str, classes: int) -> nn.Module:
    """Return the network on torch's meta device: shapes alone, no memory, no arithmetic, no random number drawn."""
    with torch.random.fork_rng(devices=[]):  # Swin makes small parameters elsewhere, at random
        try:
            with ParametersOnMeta():
                return build_network(architecture, classes).to("meta")
        except UserError:  # what timm builds by running a part of it on zeros, which are to be there too
            with torch.device("meta"):
                return build_network(architecture, classes)


def run_on_shapes(network: nn.Module, size: int) -> None:
    """Run a network that is on the meta device on one image of size x size pixels, without any arithmetic."""
    with torch.no_grad():
        network.eval()(torch.empty(1, 3, size, size, device="meta"))


def refuse_image_size(network: nn.Module, size: int, key: str) -> None:
    """Raise UserError, naming the parameter `key`, if a network on the meta device takes no images of that size."""
    try:
        run_on_shapes(network, size)
    except (RuntimeError, AssertionError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        hint = f"try {usual_size(network)}"
        raise UserError(f"{key} is {size}, which this weights.architecture does not take ({why}): {hint}") from None


def network_from_tensors(architecture: str, tensors: dict[str, torch.Tensor], classes: int) -> nn.Module:
    """Return the network with exactly these weights.

    Raises UserError if a tensor is missing, left over, or of another shape or kind.
    """
    refuse_other_tensors(architecture, tensors, classes)
    network = build_network(architecture, classes)
    load_tensors(network, tensors)
    return network


def refuse_other_tensors(architecture: str, tensors: dict[str, torch.Tensor], classes: int) -> None:
    """Raise UserError unless the tensors are those of the network, before any memory is taken for it."""
    expected = shape_of_network(architecture, classes).state_dict()
    for key in sorted(expected.keys() | tensors.keys()):
        if key not in tensors:
            raise UserError(f"the weights lack {key}, which {architecture} has: they are of another network")
        if key not in expected:
            raise UserError(f"the weights hold {key}, which {architecture} lacks: they are of another network")
        if tensors[key].shape != expected[key].shape:
            shapes = f"{tuple(tensors[key].shape)}, in {architecture} it is {tuple(expected[key].shape)}"
            raise UserError(f"the weights' {key} has the shape {shapes}: they are of another network")
        if expected[key].is_floating_point() and tensors[key].dtype not in WEIGHT_TYPES:
            raise UserError(
                f"the weights' {key} is of {tensors[key].dtype}, which is not supported: save it as float32"
            )


def refuse_not_finite(tensors: dict[str, torch.Tensor], source: str) -> None:
    """Raise UserError, naming the first such tensor, for weights that hold NaN or infinity."""
    for key, values in tensors.items():
        finite = values.isfinite() if values.dtype in WEIGHT_TYPES else torch.tensor(True)
        if not finite.all():
            raise UserError(
                f"{source}: {int((~finite).sum())} of the {values.numel()} values of {key} are NaN or infinite: "
                "the file is damaged, or its training diverged; take another one"
            )


def load_tensors(network: nn.Module, tensors: dict[str, torch.Tensor]) -> None:
    """Give a network these tensors; those that are not named stay as they are."""
    state = network.state_dict()  # with the versions of its modules, for which MNASNet asks
    state.update(tensors)
    network.load_state_dict(state)
