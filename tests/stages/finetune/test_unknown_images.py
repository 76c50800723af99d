"""The score is fitted on train, and judged beside val; the same images give the same bytes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import LedoitWolf

from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import features_of
from stages.finetune import unknown_images
from stages.finetune.finished_model import finished
from stages.finetune.unknown_images import fit_gaussians, some_of_each_class
from tests.support.models import SMALL, small_model, split_of_noise


@pytest.mark.medium
def test_it_is_ledoit_and_wolfs_of_train_and_the_distances_are_those_of_val() -> None:
    model, train, val = small_model(), split_of_noise(30, 1), split_of_noise(9, 2)
    found = finished(model, train, val).tensors
    compute = choose_compute("float32")
    features = {
        name: features_of(model.network(), SMALL, split.images, model.transform, compute).numpy()
        for name, split in (("train", train), ("val", val))
    }
    directions = {name: own / np.linalg.norm(own, axis=1, keepdims=True) for name, own in features.items()}
    means = np.stack([directions["train"][train.labels == c].mean(axis=0) for c in range(3)])
    own = LedoitWolf(assume_centered=True).fit(directions["train"] - means[train.labels])
    wanted = np.sort(np.min([own.mahalanobis(directions["val"] - mean) for mean in means], axis=0))
    np.testing.assert_allclose(found["unknown.val_distances"], wanted, rtol=1e-4)
    assert all(torch.equal(found[key], value) for key, value in model.tensors.items())


@pytest.mark.medium
def test_another_val_changes_what_is_said_of_val_alone_and_the_same_gives_the_same_bytes() -> None:
    model, train = small_model(), split_of_noise(30, 1)
    first, again, other = (finished(model, train, split_of_noise(9, seed)).tensors for seed in (2, 2, 3))
    assert all(torch.equal(first[key], again[key]) for key in first)
    of_val = [f"val.{name}" for name in ("relative_probability", "probability", "brightness", "features")]
    assert [key for key in first if not torch.equal(first[key], other[key])] == ["unknown.val_distances", *of_val]


def test_few_and_equal_images_give_finite_numbers() -> None:
    model, train = small_model(), split_of_noise(3, 1)
    equal = replace(train, images=train.images[:1].repeat(3, 1, 1, 1))
    for few in (train, equal):
        found = finished(model, few, split_of_noise(2, 2)).tensors
        assert all(value.isfinite().all() for key, value in found.items() if key.startswith(("unknown.", "val.")))
    two = fit_gaussians(np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0]]), np.array([0, 0]))
    assert all(np.isfinite(each).all() for each in two)


def test_of_many_images_some_of_each_class_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.repeat([0, 1, 2], [100, 10, 1])
    assert some_of_each_class(labels).tolist() == list(range(111))
    monkeypatch.setattr(unknown_images, "MOST", 15)
    assert some_of_each_class(labels).tolist() == [0, 25, 50, 74, 99, 100, 102, 104, 107, 109, 110]
    monkeypatch.setattr(unknown_images, "MOST", 3)
    assert some_of_each_class(labels).tolist() == [0, 99, 100, 109, 110]
