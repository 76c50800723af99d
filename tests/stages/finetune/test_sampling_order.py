"""Orders and class weights: scikit-learn is the oracle."""

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from plumbline.params.all import AllParams
from plumbline.run import params_file
from stages.finetune.sampling_order import balanced_weights, draw_order, images_to_overfit
from tests.conftest import Workspace

LABELS = torch.tensor([0] * 900 + [1] * 90 + [2] * 10)


def test_balanced_weights_are_scikit_learns() -> None:
    theirs = compute_class_weight("balanced", classes=np.arange(3), y=LABELS.numpy())
    assert balanced_weights(LABELS).tolist() == pytest.approx(theirs.tolist())


def test_a_class_without_images_weighs_nothing_and_changes_no_other() -> None:
    assert balanced_weights(LABELS, classes=5).tolist() == pytest.approx([*balanced_weights(LABELS).tolist(), 0, 0])


def test_shuffle_takes_every_image_once_and_balanced_each_class_as_often(workspace: Workspace) -> None:
    torch.manual_seed(0)
    recipe = params_file.load(AllParams).finetune
    assert draw_order(LABELS, recipe).sort().values.equal(torch.arange(1000))
    workspace.set(finetune__sampler="balanced")
    recipe = params_file.load(AllParams).finetune
    drawn = torch.bincount(LABELS[torch.cat([draw_order(LABELS, recipe) for _ in range(30)])])
    # 30,000 draws, 10,000 a class on average with a standard deviation of 82.
    assert (drawn - 10_000).abs().max() < 5 * 82


def test_the_images_to_overfit_are_of_several_classes_and_follow_the_seed() -> None:
    labels = torch.tensor([0] * 50 + [1] * 50)
    few = images_to_overfit(labels, 16, seed=0)
    assert len(set(few.tolist())) == 16
    assert labels[few].unique().tolist() == [0, 1]
    assert few.equal(images_to_overfit(labels, 16, seed=0))
    assert not few.equal(images_to_overfit(labels, 16, seed=1))
