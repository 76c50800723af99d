"""The linear probe: no feature that hardly varied in training decides the class of another image."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from plumbline.training.linear_probe import fitted_probe, linear_layer_of


def features_and_labels() -> tuple[np.ndarray, np.ndarray]:
    labels = np.arange(54) % 2
    chance = np.random.default_rng(0)
    return chance.normal(size=(54, 20)) + labels[:, None] * chance.normal(size=20), labels


def test_of_features_that_vary_alike_it_is_scikit_learns_regression_on_standardised_ones() -> None:
    features, labels = features_and_labels()
    wanted = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(features, labels)
    probe = fitted_probe(features, labels)
    np.testing.assert_allclose(probe.predict_proba(features), wanted.predict_proba(features), atol=1e-6)


def test_a_feature_that_one_image_activates_slightly_does_not_decide_the_class_of_another() -> None:
    features, labels = features_and_labels()
    rare = np.zeros((54, 1))
    rare[7] = 1e-4  # a bee's
    probe = fitted_probe(np.hstack([features, rare]), labels)
    ant = np.append(features[labels == 0].mean(axis=0), 0.5)[None]
    assert probe.predict_proba(ant)[0, 0] > 0.9
    unbounded = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000)).fit(
        np.hstack([features, rare]), labels
    )
    assert unbounded.predict_proba(ant)[0, 0] < 0.01  # what standardised features alone make of it


def test_features_of_which_none_varies_are_no_fault() -> None:
    labels = np.arange(10) % 2
    weight, bias = linear_layer_of(fitted_probe(np.ones((10, 3)), labels))
    assert np.isfinite(weight).all()
    assert bias == pytest.approx([0, 0], abs=1e-6)
