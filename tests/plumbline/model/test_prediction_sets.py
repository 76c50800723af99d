"""Sets hold the true class of exchangeable images as often as was promised: exactly, and by another formula."""

import math
import types
from fractions import Fraction

import numpy as np
import pytest
import torch
from scipy.stats import beta

from plumbline.model import conformal_counts, prediction_sets
from plumbline.model.prediction_sets import ROUNDING, in_set, promise, relative_probabilities, thresholds
from plumbline.model.val_images import ValImages, val_images, val_images_of, val_tensors
from plumbline.run.errors import UserError
from tests.support.planted import planted


def probabilities_of(relative: np.ndarray, label: int, classes: int) -> np.ndarray:
    """Return probabilities (N, classes) whose label has these relative to the likeliest, another class."""
    found = np.zeros((len(relative), classes))
    found[:, label], found[:, (label + 1) % classes] = relative, 1
    return found / found.sum(axis=1, keepdims=True)


def refuse_other_shares(module: types.ModuleType = prediction_sets) -> None:
    """Assert that of n + 1 images, each once the new one, as many as must are in their sets, and those the surest.

    All orders of exchangeable images are alike: the share of the n + 1 is the probability, exactly.
    """
    for images in (9, 10, 19, 20, 39, 40, 99):
        for coverage in (0.5, 0.8, 0.9, 0.95):
            if images < 1 / (1 - Fraction(str(coverage))) - 1:
                continue
            relative = np.linspace(0.1, 0.9, images + 1)
            new = np.concatenate([probabilities_of(relative + class_ * 0.01, class_, 2) for class_ in (0, 1)])
            for class_ in (0, 1):  # of 0 the threshold is always lower by 0.01
                held = []
                for i in range(images + 1):
                    own = np.delete(relative, i)
                    labels = np.repeat([0, 1], images)
                    found = module.thresholds(labels, np.concatenate([own, own + 0.01]), 2, coverage)
                    assert found.each_class and found.images == [images, images]
                    held.append(module.in_set(new, found.least)[class_ * (images + 1) + i, class_])
                share = Fraction(int(np.sum(held)), images + 1)
                assert share - Fraction(1, images + 1) < Fraction(str(coverage)) <= share, (images, coverage, share)
                assert held == sorted(held)


def test_of_exchangeable_images_the_promised_share_is_in_its_sets_in_each_class() -> None:
    refuse_other_shares()


FAULTS = {
    "the quantile off by one": ("prediction_sets", "len(group)) - 1]", "len(group))]"),
    "the quantile off by one, to the safe side": ("prediction_sets", "len(group)) - 1]", "len(group)) - 2]"),
    "no correction for finite samples": ("conformal_counts", "(val_images + 1)", "val_images"),
    "the sides swapped": ("prediction_sets", ">= least", "<= least"),
    "the other end of the order": ("prediction_sets", "np.sort(group)", "-np.sort(-group)"),
    "a probability that is not relative": ("prediction_sets", " / probabilities.max(axis=1, keepdims=True)", ""),
    "all classes under one threshold": ("prediction_sets", "of_class if each_class else", "[relative] * classes if 1 else"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    name, *texts = FAULTS[fault]
    faulty = planted(prediction_sets, *texts if name == "prediction_sets" else ())
    if name == "conformal_counts":
        faulty.largest_count = planted(conformal_counts, *texts).largest_count
    with pytest.raises((AssertionError, IndexError)):
        refuse_other_shares(faulty)


def test_the_sets_are_those_of_the_quantile_with_the_finite_sample_correction() -> None:
    # Scores that are large where the class is unlikely; their least value below which ceil((n + 1) coverage) / n lie.
    chance = np.random.default_rng(0)
    for images in (24, 153):
        for coverage in (0.8, 0.9, 0.95):
            labels = chance.integers(0, 4, images)
            val, new = (chance.dirichlet(np.ones(5), number) for number in (images, 50))  # the fifth has no val image
            relative = relative_probabilities(val, labels)
            found = thresholds(labels, relative, 5, coverage)
            level = (math.ceil((images + 1) * Fraction(str(coverage))) - 0.5) / images  # between two steps
            limit = np.quantile(1 - relative, level, method="inverted_cdf")
            wanted = 1 - new / new.max(axis=1, keepdims=True) <= limit
            np.testing.assert_array_equal(in_set(new, found.least / (1 - ROUNDING)), wanted)
            assert not found.each_class
            assert wanted[np.arange(50), new.argmax(axis=1)].all()


def test_the_temperature_changes_no_set() -> None:
    chance = np.random.default_rng(1)
    labels, images = torch.from_numpy(chance.integers(0, 3, 60)), torch.zeros(60, 2, 2, 3, dtype=torch.uint8)
    logits, new = (torch.from_numpy(3 * chance.normal(size=(number, 3))) for number in (60, 200))
    sets = []
    for temperature in (0.5, 1.0, 4.0):
        val = val_images(images, labels, logits, temperature)
        found = thresholds(labels.numpy(), val.relative_probability.numpy(), 3, 0.8)
        sets.append(in_set((new / temperature).softmax(dim=1).numpy(), found.least))
    assert (sets[0] == sets[1]).all() and (sets[1] == sets[2]).all()
    assert 1 < sets[0].sum(axis=1).mean() < 3


def test_too_few_val_images_are_refused_with_the_number_that_would_do() -> None:
    labels, relative = np.arange(24) % 2, np.linspace(0, 1, 24)
    with pytest.raises(UserError, match=r"0\.99 takes 99 val images, and .* 24: give more, or ask for at most 0\.96"):
        thresholds(labels, relative, 2, 0.99)
    assert thresholds(labels, relative, 2, 0.96).images == [24]
    with pytest.raises(UserError, match="takes 25 val images"):
        thresholds(labels, relative, 2, 0.9601)


def test_the_line_says_what_was_promised() -> None:
    # Of 24 images one is rejected: the share that one draw holds has Beta(24, 1), whose 0.05 quantile is 0.05^(1/24), 0.8826.
    labels = np.arange(24) % 2
    together = thresholds(labels, np.linspace(0, 1, 24), 2, 0.95)
    line = promise(together, labels, ["ant", "bee"], 0.95)
    assert "over all classes together (each class would take 19, and there are 12 val images of ant)" in line
    assert line.endswith("of 24 val images one draw in 20 gives less than 0.88")
    line = promise(thresholds(labels, np.linspace(0, 1, 24), 2, 0.9), labels, ["ant", "bee"], 0.9)
    assert "in each class, on average" in line and "of 12 val images of a class" in line
    # Of 38 images one is rejected, 0.05^(1/38) is 0.924; of 39 two.
    assert beta.ppf(0.05, 38, 2) == pytest.approx(0.884, abs=0.001)
    labels = np.repeat([0, 1], [38, 39])
    line = promise(thresholds(labels, np.linspace(0, 1, 77), 2, 0.95), labels, ["ant", "bee"], 0.95)
    assert line.endswith("of 39 val images of a class one draw in 20 gives less than 0.88")


VAL = ValImages(torch.tensor([0, 1]), *(torch.tensor([0.5, 1.0]) for _ in range(3)))
NEWER = VAL._replace(size=torch.tensor([40.0, 50.0]), features=torch.ones(2, 3), directions=torch.ones(8, 3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", torch.tensor([0, 2])),
        ("labels", torch.tensor([-1, 0])),
        ("labels", torch.tensor([0, 1, 1])),
        ("labels", torch.tensor([0.0, 1.0])),
        ("relative_probability", torch.tensor([0.5, 1.5])),
        ("probability", torch.tensor([0.5, 1.0], dtype=torch.float64)),
        ("brightness", torch.tensor(0.5)),
        ("brightness", None),
        ("code", torch.zeros(2)),
    ],
)
def test_tensors_of_the_val_images_that_do_not_fit_are_refused(name: str, value: torch.Tensor | None) -> None:
    tensors = val_tensors(VAL)
    assert val_images_of(tensors | {"fc.weight": torch.zeros(1)}, 2) == VAL
    assert val_images_of({"fc.weight": torch.zeros(1)}, 2) is None
    del tensors["val.brightness" if value is None else "val.labels"]
    if value is not None:
        tensors |= {"val.labels": VAL.labels} | {f"val.{name}": value}
    with pytest.raises(UserError, match="another program changed"):
        val_images_of(tensors, 2)
    newer = val_tensors(NEWER)
    assert val_images_of(newer, 2) == NEWER
    for key, wrong in (
        ("val.size", torch.tensor([40.0])),
        ("val.features", torch.ones(2, 2)),
        ("val.features", torch.ones(3, 3)),
        ("val.directions", torch.ones(8)),
        ("val.directions", torch.ones(8, 3, dtype=torch.float64)),
        ("val.directions", None),
        ("val.features", None),
    ):
        changed = {name: each for name, each in (newer | {key: wrong}).items() if each is not None}
        with pytest.raises(UserError, match="another program changed"):
            val_images_of(changed, 2)
    empty = {key: each[:0] for key, each in val_tensors(VAL).items()}
    with pytest.raises(UserError, match="another program changed"):
        val_images_of(empty, 2)
