"""The head of a network: the layer whose shape follows the number of classes. Find it, name it, replace it."""

import functools

import torch
from torch import nn

from plumbline.model.families import build_network
from plumbline.model.networks import network_from_tensors, refuse_image_size, shape_of_network
from plumbline.run.errors import UserError


@functools.cache
def head_keys(architecture: str) -> frozenset[str]:
    """Return the names of the head's tensors: those whose shape follows the number of classes.

    Raises UserError if they are not those of one layer.
    """
    two, three = (shape_of_network(architecture, classes).state_dict() for classes in (2, 3))
    keys = frozenset(key for key in two if two[key].shape != three[key].shape)
    layers = {key.rpartition(".")[0] for key in keys}
    if len(layers) != 1:
        which = f" ({', '.join(sorted(layers))})" if layers else ""
        raise UserError(
            f"weights.architecture is {architecture!r}, which has {len(layers)} heads{which}: choose one with one head"
        )
    return keys


def head_name(architecture: str) -> str:
    """Return the name of the layer that is the head: `fc` in a ResNet."""
    return next(iter(head_keys(architecture))).rpartition(".")[0]


def refuse_unserved(architecture: str, crop: int) -> None:
    """Raise UserError unless the network has one head and takes images of crop x crop pixels, before any work."""
    head_keys(architecture)
    refuse_image_size(shape_of_network(architecture, 2), crop, "image.crop")


def replace_head(architecture: str, tensors: dict[str, torch.Tensor], classes: int, *, crop: int) -> nn.Module:
    """Return the network with a new head of `classes` outputs on the backbone that the tensors hold.

    The head is initialised as torchvision initialises it; torch's seed decides the values. Raises UserError for
    an `image.crop` that the network does not take.
    """
    refuse_image_size(shape_of_network(architecture, classes), crop, "image.crop")
    head = head_keys(architecture)
    fresh = build_network(architecture, classes).state_dict()
    backbone = {key: value for key, value in tensors.items() if key not in head}
    return network_from_tensors(architecture, backbone | {key: fresh[key] for key in head}, classes)
