"""Wilson's interval is the literature's; bootstrap samples keep each class's size and draw its images alike."""

import numpy as np
import pytest

from plumbline.results.intervals import resampled_weights, share_with_interval


@pytest.mark.parametrize(
    ("hits", "images", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3 (Wilson without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_of_a_share_is_wilsons(hits: int, images: int, low: float, high: float) -> None:
    found = share_with_interval(hits, images, 0.95)
    assert (found.value, found.images) == (hits / images, images)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("labels", [np.array([0] * 5 + [1] * 3 + [4]), np.array(["b"] * 2 + ["a"] * 7)])
def test_each_class_keeps_its_size_and_its_images_come_up_alike(labels: np.ndarray) -> None:
    weights = np.array(list(resampled_weights(labels, 4000, np.random.default_rng(0))))
    for label in np.unique(labels):
        assert (weights[:, labels == label].sum(axis=1) == (labels == label).sum()).all()
    # Each image is drawn once a sample on average; the variance of a draw is below 1.
    assert weights.mean(axis=0) == pytest.approx(np.ones(len(labels)), abs=5 / np.sqrt(4000))
