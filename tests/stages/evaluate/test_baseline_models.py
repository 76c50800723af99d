"""Many classes with few images each: no library's warning reaches the user; a probe that did not converge is said."""

import warnings

import numpy as np
import pytest

from plumbline.training import linear_probe
from stages.evaluate.baseline_models import baseline_measures
from stages.evaluate.label_doubts import out_of_fold_probabilities
from stages.evaluate.measures import per_class_table
from tests.stages.evaluate.conftest import random_predictions


def test_few_images_of_many_classes_give_no_warning() -> None:
    labels = np.arange(80) // 2
    features = np.eye(40)[labels] + 0.1 * np.random.default_rng(0).normal(size=(80, 40))
    one_each = np.arange(0, 80, 2)
    predictions = random_predictions(30, 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        baseline_measures({"train": labels[one_each]}, {"train": features[one_each]}, {"train": None}, 0.95)
        out_of_fold_probabilities(features, labels, None, folds=2, seed=0)
        per_class_table("val", predictions, [str(c) for c in range(40)])


def test_a_probe_that_did_not_converge_is_said_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(linear_probe, "ITERATIONS", 2)
    labels = np.arange(60) % 3
    features = np.random.default_rng(0).normal(size=(60, 30))
    baseline_measures({"train": labels}, {"train": features}, {"train": None}, 0.95)
    assert capsys.readouterr().err == "the linear probe did not converge in 2 iterations: it may be too low\n"
