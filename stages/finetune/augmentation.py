"""Change the training images at random: each by itself while it is pixels, then whole batches of inputs.

All of it is torchvision's, and draws from torch's generator.
"""

from collections.abc import Callable

import torch
from torchvision.transforms import v2

from plumbline.params.finetune import Augment

ImageChange = Callable[[torch.Tensor], torch.Tensor]
BatchChange = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def changes_anything(augment: Augment) -> bool:
    """Say whether an image is ever other than the one that is stored."""
    return image_changes(augment, crop=1) is not None or bool(batch_changes(augment, classes=2))


def image_changes(augment: Augment, crop: int, interpolation: str = "bilinear") -> ImageChange | None:
    """Return a function from images, uint8 (B, H, W, 3), to changed ones (B, crop, crop, 3); None for no change.

    In this order: crop (random, or the centre), mirror, policy. Each image has draws of its own.
    """
    policies = {"none": [], "randaugment": [v2.RandAugment()], "trivialaugment": [v2.TrivialAugmentWide()]}
    if augment.smallest_crop is None:
        steps = [v2.CenterCrop(crop)]
    else:
        steps = [
            v2.RandomResizedCrop(crop, (augment.smallest_crop, 1.0), interpolation=v2.InterpolationMode(interpolation))
        ]
    if augment.flip:
        steps.append(v2.RandomHorizontalFlip(augment.flip))
    steps += policies[augment.policy]
    if len(steps) == 1 and augment.smallest_crop is None:
        return None
    change = v2.Compose(steps)

    def change_all(images: torch.Tensor) -> torch.Tensor:
        return torch.stack([change(image.permute(2, 0, 1)).permute(1, 2, 0) for image in images])

    return change_all


def mixes_labels(augment: Augment) -> bool:
    """Return whether images of a batch are mixed, so that a label is a share of each class."""
    return augment.mixup > 0 or augment.cutmix > 0


def batch_changes(augment: Augment, classes: int) -> BatchChange | None:
    """Return a function from inputs (B, 3, H, W) and labels (B,) to mixed ones and shares of classes (B, classes).

    None for no change. Sources: Zhang et al. 2018, arXiv:1710.09412; Yun et al. 2019, arXiv:1905.04899.
    """
    mixes = []
    if augment.mixup:
        mixes.append(v2.MixUp(alpha=augment.mixup, num_classes=classes))
    if augment.cutmix:
        mixes.append(v2.CutMix(alpha=augment.cutmix, num_classes=classes))
    return v2.RandomChoice(mixes) if mixes else None
