"""The learning rate is compared with the limit that the curvature sets; few mistakes are named."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from torch.optim import SGD, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, OneCycleLR, StepLR

from stages.evaluate.caveats import (
    accuracy_gain_by_choice,
    images_misranked,
    lr_over_curvature_limit,
    mistakes_behind_class_means,
    print_few_mistakes,
)
from stages.evaluate.predictions import Predictions
from tests.stages.evaluate.conftest import from_logits
from tests.support.models import CURVATURES, RECIPE


@pytest.mark.parametrize(("lr", "share"), [(0.019, 0.5), (0.038, 1.0), (0.076, 2.0), (0.152, 4.0)])
def test_a_learning_rate_beyond_what_the_curvature_of_every_draw_allows_is_warned_about(
    capsys: pytest.CaptureFixture[str], lr: float, share: float
) -> None:
    # The limit at a curvature of 100 is 2 (1 + 0.9) / 100 = 0.038.
    found = lr_over_curvature_limit(RECIPE | {"lr": lr}, CURVATURES, images=7)
    assert found == pytest.approx((share, 7, share / 2, share * 2))
    warned = "0.152, 2 to 8 times the largest step size that is stable where training starts" in capsys.readouterr().err
    assert warned == (share > 2)


def test_what_the_curvature_was_not_measured_for_has_no_limit() -> None:
    for change in (
        {"head": "probe"},
        {"optimiser": "adam"},
        {"optimiser": "adamw"},
        {"freeze": "layer4"},
        {"freeze_statistics": True},
        {"first_layer_lr": 0.1},
        {"class_weights": "balanced"},
        {"label_smoothing": 0.1},
        {"sampler": "balanced"},
        {"clip_norm": 1.0},
        {"augment": {"mixup": 0.2, "cutmix": 0.0}},
    ):
        assert lr_over_curvature_limit(RECIPE | change, CURVATURES, images=7) is None


@pytest.mark.parametrize(
    ("recipe", "scheduler"),
    [
        ({"schedule": "cosine"}, lambda optimiser: CosineAnnealingLR(optimiser, 40)),
        ({"schedule": "step"}, lambda optimiser: StepLR(optimiser, 10)),
        ({"schedule": "one_cycle"}, lambda optimiser: OneCycleLR(optimiser, 0.152, 40)),
        ({"warmup_epochs": 1}, lambda optimiser: LinearLR(optimiser, 1 / 11, total_iters=10)),
    ],
    ids=["cosine", "step", "one_cycle", "warm-up"],
)
def test_a_schedule_that_begins_below_the_learning_rate_has_no_limit_and_no_warning(
    capsys: pytest.CaptureFixture[str], recipe: dict[str, object], scheduler: Callable[[Optimizer], LRScheduler]
) -> None:
    optimiser = SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.152)  # 4 times the limit
    scheduler(optimiser)
    begins_at_lr = optimiser.param_groups[0]["lr"] == pytest.approx(0.152)
    found = lr_over_curvature_limit(RECIPE | {"lr": 0.152} | recipe, CURVATURES, images=7)
    assert found == (pytest.approx((4, 7, 2, 8)) if begins_at_lr else None)
    assert ("warning" in capsys.readouterr().err) == begins_at_lr


def test_it_says_on_which_splits_there_are_too_few_mistakes_for_the_bootstrap(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def with_mistakes(mistakes: int) -> Predictions:
        return from_logits(np.zeros(20, int), np.eye(2)[[1] * mistakes + [0] * (20 - mistakes)])

    of_three = {"train": with_mistakes(0), "val": with_mistakes(9), "test": with_mistakes(10)}
    print_few_mistakes(of_three, 1, ["ant", "bee"])
    assert capsys.readouterr().out.startswith("few mistakes (val 9): the bootstrap intervals there are too narrow")
    print_few_mistakes({"val": with_mistakes(10)}, 1, ["ant", "bee"])
    assert capsys.readouterr().out == ""


def test_the_gain_by_choice_is_chance_beside_the_epoch_and_no_overfitting_at_the_end(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Nothing but overfitting: val is at 0.9 for six epochs, and falls to 0.5 in the four after them.
    losses = [9, 8, 7, 6.5, 6, 6.1, 7, 8, 9, 10]
    falling = pd.DataFrame({"epoch": range(10), "val_loss": losses, "val_accuracy": [0.9] * 7 + [0.7, 0.6, 0.5]})
    assert accuracy_gain_by_choice(falling, "best", None) == pytest.approx(0)
    # Nothing but chance, and the best epoch is the last one.
    lucky = pd.DataFrame({"epoch": range(4), "val_loss": [5, 5, 5, 4], "val_accuracy": [0.8, 0.8, 0.8, 0.95]})
    assert accuracy_gain_by_choice(lucky, "best", None) == pytest.approx(0.1)
    assert accuracy_gain_by_choice(lucky, "last", None) == 0
    assert capsys.readouterr().out.endswith("no epoch was chosen\n")
    assert accuracy_gain_by_choice(lucky, "last", 3) == 0
    assert capsys.readouterr().out.endswith("patience ended the training by it\n")
    probe = pd.DataFrame({"epoch": [-1, 0, 1], "val_loss": [1, 2, 3], "val_accuracy": [0.9, 0.9, 0.6]})
    assert accuracy_gain_by_choice(probe, "best", None) == pytest.approx(0.1)
    assert capsys.readouterr().out.endswith("choosing epoch -1 of 2 may have gained 10.0 points\n")


def in_two_classes(sizes: list[int], wrong: list[int], other: float = 1.0) -> Predictions:
    """Return so many wrong of each class's images; the wrong ones' logit difference is `other`."""
    labels = np.repeat([0, 1], sizes)
    mistaken = np.concatenate([np.arange(size) < few for size, few in zip(sizes, wrong, strict=True)])
    taken = np.where(mistaken, 1 - labels, labels)
    logits = np.eye(2)[taken] * np.where(mistaken, other, 5.0)[:, None]
    return from_logits(labels, logits)


@pytest.mark.parametrize(
    ("sizes", "wrong", "said"),
    [([200, 8], [20, 0], "bee 0 of 8"), ([200, 8], [20, 2], "bee 2 of 8"), ([100, 100], [12, 12], None)],
)
def test_the_mistakes_of_a_small_class_are_counted_for_the_means_over_classes(
    capsys: pytest.CaptureFixture[str], sizes: list[int], wrong: list[int], said: str | None
) -> None:
    print_few_mistakes({"test": in_two_classes(sizes, wrong)}, 1, ["ant", "bee"])
    printed = capsys.readouterr().out
    assert ("few mistakes in some classes" in printed) == (said is not None)
    assert said is None or f"(test: {said}): the intervals of the balanced accuracy" in printed


def test_mistakes_of_equal_weight_count_one_each_and_those_of_a_small_class_outweigh_the_others() -> None:
    assert mistakes_behind_class_means(in_two_classes([50, 50], [7, 9])) == pytest.approx(16)
    assert mistakes_behind_class_means(in_two_classes([50, 50], [0, 0])) == 0
    # Weights 1 / 200 and 1 / 8: (20 / 200 + 2 / 8)^2 / (20 / 200^2 + 2 / 8^2)
    assert mistakes_behind_class_means(in_two_classes([200, 8], [20, 2])) == pytest.approx(0.35**2 / 0.03175)


def test_a_ranking_with_few_images_in_the_wrong_order_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    labels = np.repeat([0, 1], 30)
    scores = np.concatenate([np.linspace(0, 1, 30), np.linspace(0.99, 2, 30)])  # one pair is in the wrong order
    predictions = from_logits(labels, np.stack([np.zeros(60), scores + 0.5], axis=1))  # 30 ants are taken for bees
    assert images_misranked(predictions, 1) == 1
    print_few_mistakes({"test": predictions}, 1, ["ant", "bee"])
    assert "few images in the wrong order (test)" in capsys.readouterr().out
    assert images_misranked(from_logits(labels[:30], np.zeros((30, 2))), 1) == np.inf
