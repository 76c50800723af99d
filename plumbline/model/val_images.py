"""What a model file holds of the val images: what prediction sets rest on, and what new images are compared with.

It stands in tensors whose names begin with `val.`: `finetune` writes them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import nn

from plumbline.run.errors import UserError

PREFIX = "val."
DIRECTIONS = 3  # along which the features are kept


class ValImages(NamedTuple):
    """One number an image, (V,), but for the features; those of the model are after the temperature.

    What may be None is not in files of older versions.
    """

    labels: torch.Tensor  # int64
    relative_probability: torch.Tensor  # float32 in [0, 1]: that of the label, divided by the likeliest class's
    probability: torch.Tensor  # float32 in [0, 1]: that of the likeliest class
    brightness: torch.Tensor  # float32 in [0, 1]
    size: torch.Tensor | None = None  # float32: the shorter side as stored, pixels
    features: torch.Tensor | None = None  # float32 (V, K): what the head takes, along the directions
    directions: torch.Tensor | None = None  # float32 (F, K): in which the training images differ most


OLDEST = tuple(name for name in ValImages._fields if name not in ValImages._field_defaults)


def val_images(images: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, temperature: float) -> ValImages:
    """Return what is kept of images, uint8 (V, resize, resize, 3), their labels, and logits, float64 (V, classes)."""
    log_probabilities = (logits / temperature).log_softmax(dim=1)
    largest = log_probabilities.max(dim=1).values
    of_label = log_probabilities.gather(1, labels[:, None])[:, 0]
    relative = (of_label - largest).exp().float()
    return ValImages(labels, relative, largest.exp().float(), brightness(images).float().cpu())


def brightness(images: torch.Tensor) -> torch.Tensor:
    """Return the mean of all values of each image, uint8 (N, H, W, 3), in [0, 1], float64 (N,)."""
    sums = torch.cat([part.flatten(1).sum(dim=1) for part in images.split(16)])  # in whole numbers
    return sums.double() / (255 * images[0].numel())


def along(features: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """Return features (N, F), scaled to length 1, along directions (F, K): float32 (N, K)."""
    return nn.functional.normalize(features.float(), dim=1) @ directions


def val_tensors(val: ValImages) -> dict[str, torch.Tensor]:
    """Return what a model file holds of them."""
    return {f"{PREFIX}{name}": value for name, value in val._asdict().items() if value is not None}


def val_images_of(tensors: Mapping[str, torch.Tensor], classes: int) -> ValImages | None:
    """Return what a model's tensors hold of the val images; None if nothing, as in files of older versions.

    Raises UserError for tensors that are not as `finetune` writes them.
    """
    stored = {key.removeprefix(PREFIX): value for key, value in tensors.items() if key.startswith(PREFIX)}
    if not stored:
        return None
    if not set(OLDEST) <= set(stored) <= set(ValImages._fields) or ("features" in stored) != ("directions" in stored):
        raise UserError(
            f"the model has of the val images the tensors {', '.join(sorted(stored))[:200]}, and should have "
            f"{', '.join(ValImages._fields)}: another program changed it"
        )
    val = ValImages(**stored)
    shares = val[1 : len(OLDEST)]
    if (
        val.labels.dim() != 1
        or not len(val.labels)
        or any(value.shape != val.labels.shape for value in (*shares, *[val.size] * ("size" in stored)))
        or val.labels.dtype != torch.int64
        or any(value.dtype != torch.float32 for name, value in stored.items() if name != "labels")
        or not all(bool(((share >= 0) & (share <= 1)).all()) for share in shares)
        or not bool(((val.labels >= 0) & (val.labels < classes)).all())
        or ("features" in stored and not are_along(val.features, val.directions, len(val.labels)))
    ):
        raise UserError(
            f"the model's tensors {', '.join(PREFIX + name for name in stored)} should be {classes} classes' labels in "
            "int64 and numbers in float32, one an image, and features along their directions: another program changed "
            "them"
        )
    return val


def are_along(features: torch.Tensor, directions: torch.Tensor, images: int) -> bool:
    """Return whether features (V, K) of so many images and directions (F, K) fit each other."""
    return features.dim() == directions.dim() == 2 and features.shape == (images, directions.shape[1])
