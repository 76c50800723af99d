"""Random changes: each is seen on pixels whose change can be told."""

import pytest
import torch

from plumbline.params.finetune import Augment
from stages.finetune.augmentation import batch_changes, changes_anything, image_changes
from stages.finetune.training_setup import NO_CHANGES


def augment(**values: object) -> Augment:
    return NO_CHANGES.model_copy(update=values)


def gradient_images(images: int = 64) -> torch.Tensor:
    """Images (N, 40, 40, 3) that grow brighter from left to right: a pixel's value is its column."""
    return torch.arange(40, dtype=torch.uint8).view(1, 1, 40, 1).expand(images, 40, 40, 3).contiguous()


def test_the_default_changes_nothing() -> None:
    assert image_changes(NO_CHANGES, crop=32) is None
    assert batch_changes(NO_CHANGES, classes=2) is None
    assert not changes_anything(NO_CHANGES)


def test_flip_mirrors_each_image_by_itself() -> None:
    torch.manual_seed(0)
    centre = gradient_images()[:, 4:36, 4:36]
    changed = image_changes(augment(flip=0.5), crop=32)(gradient_images())
    mirrored = [image.equal(centre[0].flip(1)) for image in changed]
    same = [image.equal(centre[0]) for image in changed]
    assert all(a != b for a, b in zip(mirrored, same, strict=True))
    assert 16 < sum(mirrored) < 48
    assert image_changes(augment(flip=1.0), crop=32)(gradient_images()).equal(centre.flip(2))


def test_a_random_crop_shows_at_least_the_smallest_share() -> None:
    torch.manual_seed(0)
    changed = image_changes(augment(smallest_crop=0.5), crop=32)(gradient_images()).float()
    assert changed.shape == (64, 32, 32, 3)
    widths = changed.amax(dim=(1, 2, 3)) - changed.amin(dim=(1, 2, 3))
    assert widths.unique().numel() > 5
    # The narrowest: half the area at a ratio of 3 to 4 of width to height.
    assert widths.min() > (0.5 * 3 / 4) ** 0.5 * 40 - 4


@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_a_policy_changes_images_and_keeps_their_size_and_type(policy: str) -> None:
    torch.manual_seed(0)
    images = torch.randint(0, 256, (16, 40, 40, 3), dtype=torch.uint8)
    changed = image_changes(augment(policy=policy), crop=32)(images)
    assert (changed.shape, changed.dtype) == ((16, 32, 32, 3), torch.uint8)
    assert not changed.equal(images[:, 4:36, 4:36])
    assert changes_anything(augment(policy=policy))


def test_mixup_blends_images_as_it_blends_their_labels() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0, 1] * 4)
    inputs = labels.view(-1, 1, 1, 1).expand(8, 3, 6, 6).float()  # a pixel's value is its label
    mixed, shares = batch_changes(augment(mixup=1.0), classes=2)(inputs, labels)
    assert torch.allclose(mixed[:, 0, 0, 0], shares[:, 1])
    assert torch.allclose(shares.sum(dim=1), torch.ones(8))
    assert (shares[:, 1] > 0).any() and (shares[:, 1] < 1).any()


def test_cutmix_pastes_as_large_a_share_as_the_labels_say() -> None:
    torch.manual_seed(1)
    labels = torch.tensor([0, 1] * 4)
    inputs = labels.view(-1, 1, 1, 1).expand(8, 3, 16, 16).float()
    mixed, shares = batch_changes(augment(cutmix=1.0), classes=2)(inputs, labels)
    assert set(mixed.unique().tolist()) == {0.0, 1.0}
    assert torch.allclose(mixed.mean(dim=(1, 2, 3)), shares[:, 1], atol=1e-6)


def test_with_both_mixes_a_batch_has_one_or_the_other() -> None:
    torch.manual_seed(0)
    labels = torch.tensor([0, 1] * 4)
    inputs = labels.view(-1, 1, 1, 1).expand(8, 3, 16, 16).float()
    change = batch_changes(augment(mixup=1.0, cutmix=1.0), classes=2)
    pasted = [set(change(inputs, labels)[0].unique().tolist()) == {0.0, 1.0} for _ in range(20)]
    assert 0 < sum(pasted) < 20
