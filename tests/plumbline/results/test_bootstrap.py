"""Samples hold as many images of each class as there are, and every image as often as any other of its class."""

import numpy as np
import pytest

from plumbline.results.bootstrap import resampled_weights


@pytest.mark.parametrize("labels", [np.array([0] * 5 + [1] * 3 + [4]), np.array(["b"] * 2 + ["a"] * 7)])
def test_each_class_keeps_its_size_and_its_images_come_up_alike(labels: np.ndarray) -> None:
    weights = np.array(list(resampled_weights(labels, 4000, np.random.default_rng(0))))
    for label in np.unique(labels):
        assert (weights[:, labels == label].sum(axis=1) == (labels == label).sum()).all()
    # Each image is drawn once a sample on average; the variance of a draw is below 1.
    assert weights.mean(axis=0) == pytest.approx(np.ones(len(labels)), abs=5 / np.sqrt(4000))
