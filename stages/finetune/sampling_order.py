"""Say which training images an epoch has, in which order, and how much each class counts."""

import torch

from plumbline.params.finetune import Finetune


def draw_order(labels: torch.Tensor, recipe: Finetune) -> torch.Tensor:
    """Return the indices (N,) of an epoch's images, in order, for labels (N,); torch's seed decides.

    `shuffle` takes every image once. `balanced` draws with replacement, each class as often on average, so that
    images of rare classes come several times and some of the others not at all.
    """
    if recipe.overfit_batches:
        return torch.arange(len(labels))
    if recipe.sampler == "balanced":
        return torch.multinomial(balanced_weights(labels)[labels], len(labels), replacement=True)
    return torch.randperm(len(labels))


def balanced_weights(labels: torch.Tensor, classes: int = 0) -> torch.Tensor:
    """Return weights (classes,) with which every class that occurs counts as much, 1 on average over the images.

    N / (classes that occur * images of the class), scikit-learn's `balanced`; 0 for a class that does not occur.
    """
    counts = torch.bincount(labels, minlength=classes)
    weights = len(labels) / ((counts > 0).sum() * counts.clamp(min=1))
    return weights.where(counts > 0, 0.0)


def images_to_overfit(labels: torch.Tensor, images: int, seed: int) -> torch.Tensor:
    """Return the indices of a few images, at random: the first ones would all be of one class."""
    return torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))[:images]
