"""Labels that were exchanged on purpose are the ones that are doubted."""

import numpy as np
import pytest

from stages.evaluate.folds import folds_of
from stages.evaluate.label_doubts import doubts, out_of_fold_probabilities


def two_clouds(images: int) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    labels = np.repeat([0, 1], images // 2)
    return chance.normal(size=(images, 4)) + 4 * labels[:, None], labels


def test_exchanged_labels_are_found_and_no_others() -> None:
    features, labels = two_clouds(60)
    exchanged = labels.copy()
    exchanged[[3, 17, 44]] = 1 - exchanged[[3, 17, 44]]
    probabilities = out_of_fold_probabilities(features, exchanged, None, folds=5, seed=0)
    table = doubts("train", [str(i) for i in range(60)], exchanged, probabilities, ["ant", "bee"])
    assert sorted(table["path"]) == ["17", "3", "44"]
    assert table["probability_of_actual"].is_monotonic_increasing
    assert set(zip(table["actual"], table["suggested"], strict=True)) == {("ant", "bee"), ("bee", "ant")}


def test_a_near_copy_under_the_same_wrong_label_does_not_vouch_for_it() -> None:
    features, labels = two_clouds(60)
    features = np.concatenate([features, np.full((1, 4), 9.0)])  # a picture unlike all others, of the second class
    features = np.concatenate([features, features[-1:] + 1e-3])  # and its near copy
    labels = np.concatenate([labels, [0, 0]])
    paths, clusters = [str(i) for i in range(62)], np.minimum(np.arange(62), 60)
    apart = out_of_fold_probabilities(features, labels, None, folds=5, seed=0)
    together = out_of_fold_probabilities(features, labels, clusters, folds=5, seed=0)
    assert together[60:, 0].max() < apart[60:, 0].min()
    assert {"60", "61"} <= set(doubts("train", paths, labels, together, ["ant", "bee"])["path"])


def test_a_class_of_one_image_is_said_and_doubts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    features, labels = two_clouds(20)
    assert out_of_fold_probabilities(features[:11], labels[:11], None, folds=5, seed=0) is None
    assert out_of_fold_probabilities(features, labels, np.minimum(np.arange(20), 10), folds=5, seed=0) is None
    first, second = capsys.readouterr().err.splitlines()
    assert "a class has a single image: plots/label_doubts.csv has no training labels" in first
    assert "a class has a single group of images that belong together: " in second


def test_groups_that_mix_the_classes_are_cut_into_fewer_folds_or_none() -> None:
    """Three groups with (0, 15), (1, 7) and (9, 8) images: some folds' rest would lack a class."""
    labels = np.repeat([1, 0, 1, 0, 1], [15, 1, 7, 9, 8])
    clusters = np.repeat([0, 1, 1, 2, 2], [15, 1, 7, 9, 8])
    for seed in range(4):
        parts = folds_of(labels, clusters, 5, seed)
        assert parts is None or all(set(labels[others]) == {0, 1} for others, _ in parts)
    assert folds_of(labels, np.zeros(40), 5, 0) is None


def test_a_seed_of_more_than_32_bits_gives_folds() -> None:
    assert folds_of(np.repeat([0, 1], 10), None, 5, 2**63 - 1) is not None


def test_classes_without_training_images_keep_their_places() -> None:
    features, labels = two_clouds(20)
    probabilities = out_of_fold_probabilities(features, labels * 2, None, folds=3, seed=0)
    assert probabilities.shape == (20, 3)
    assert (probabilities[:, 1] == 0).all()
