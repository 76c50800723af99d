"""What a model file holds of the val images: what prediction sets rest on, and what new images are compared with.

It stands in tensors whose names begin with `val.`, with one number an image: `finetune` writes them.
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch

from plumbline.run.errors import UserError

PREFIX = "val."


class ValImages(NamedTuple):
    """One number an image, (V,); those of the model are after the temperature."""

    labels: torch.Tensor  # int64
    relative_probability: torch.Tensor  # float32 in [0, 1]: that of the label, divided by the likeliest class's
    probability: torch.Tensor  # float32 in [0, 1]: that of the likeliest class
    brightness: torch.Tensor  # float32 in [0, 1]


def val_images(images: torch.Tensor, labels: torch.Tensor, logits: torch.Tensor, temperature: float) -> ValImages:
    """Return what is kept of images, uint8 (V, resize, resize, 3), their labels, and logits, float64 (V, classes)."""
    log_probabilities = (logits / temperature).log_softmax(dim=1)
    largest = log_probabilities.max(dim=1).values
    own = log_probabilities.gather(1, labels[:, None])[:, 0]
    return ValImages(labels, (own - largest).exp().float(), largest.exp().float(), brightness(images).float().cpu())


def brightness(images: torch.Tensor) -> torch.Tensor:
    """Return the mean of all values of each image, uint8 (N, H, W, 3), in [0, 1], float64 (N,)."""
    sums = torch.cat([part.flatten(1).sum(dim=1) for part in images.split(16)])  # in whole numbers
    return sums.double() / (255 * images[0].numel())


def val_tensors(val: ValImages) -> dict[str, torch.Tensor]:
    """Return what a model file holds of them."""
    return {f"{PREFIX}{name}": value for name, value in val._asdict().items()}


def val_images_of(tensors: Mapping[str, torch.Tensor], classes: int) -> ValImages | None:
    """Return what a model's tensors hold of the val images; None if nothing, as in files of older versions.

    Raises UserError for tensors that are not as `finetune` writes them.
    """
    own = {key: value for key, value in tensors.items() if key.startswith(PREFIX)}
    if not own:
        return None
    wanted = [f"{PREFIX}{name}" for name in ValImages._fields]
    if set(own) != set(wanted):
        raise UserError(
            f"the model has of the val images the tensors {', '.join(sorted(own))[:200]}, and should have "
            f"{', '.join(wanted)}: another program changed it"
        )
    labels, *shares = (own[key] for key in wanted)
    if (
        len({value.shape for value in own.values()}) > 1
        or labels.dim() != 1
        or not len(labels)
        or labels.dtype != torch.int64
        or any(share.dtype != torch.float32 for share in shares)
        or not all(bool(((share >= 0) & (share <= 1)).all()) for share in shares)
        or not bool(((labels >= 0) & (labels < classes)).all())
    ):
        raise UserError(
            f"the model's tensors {', '.join(wanted)} should be {classes} classes' labels in int64 and shares in "
            "float32, one an image: another program changed them"
        )
    return ValImages(labels, *shares)
