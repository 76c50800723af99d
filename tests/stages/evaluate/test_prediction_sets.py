"""How often sets hold the true class, and how many classes they have: worked by hand, and by simulation."""

import types

import numpy as np
import pytest
import torch
from scipy.stats import binomtest

from plumbline.model.prediction_sets import relative_probabilities
from plumbline.model.val_images import ValImages
from plumbline.params.evaluate import Evaluate
from plumbline.run import params_file
from stages.evaluate import __main__ as evaluate
from stages.evaluate import prediction_sets as own
from stages.evaluate.predictions import Predictions
from tests.conftest import Workspace
from tests.stages.evaluate.conftest import from_probabilities, random_predictions
from tests.support.planted import planted


def settings(workspace: Workspace, coverage: float) -> Evaluate:
    workspace.set(evaluate__coverage=coverage, evaluate__resamples=100)
    return params_file.load(evaluate.Params).evaluate


def val_images(labels: np.ndarray, relative: np.ndarray) -> ValImages:
    relative = torch.from_numpy(relative).float()
    return ValImages(torch.from_numpy(labels), *[relative] * 3)


def kept_of(predictions: Predictions) -> ValImages:
    return val_images(predictions.labels, relative_probabilities(predictions.probabilities, predictions.labels))


def refuse_other_measures(workspace: Workspace, module: types.ModuleType = own) -> None:
    """Assert that a worked example and a simulation come out right."""
    # Of 19 val images with 1/20, 2/20, ... the first is the threshold at 0.95: of the second image's true class the
    # ratio is 0.02/0.98 = 0.0204, and 0.05 is wanted; the first and the third have both classes.
    val = val_images(np.arange(19) % 2, np.arange(1, 20) / 20)
    test = from_probabilities([0, 1, 1, 0], [[0.9, 0.1], [0.98, 0.02], [0.3, 0.7], [0.99, 0.01]])
    found = module.set_measures(val, test, settings(workspace, 0.95), 0)
    exact = binomtest(3, 4).proportion_ci(0.95, "exact")
    assert found["set_coverage"][:2] == (0.75, 4)
    assert found["set_coverage"][2:] == pytest.approx((exact.low, exact.high))
    assert found["set_size"][:2] == (1.5, 4) and found["set_size"].low < 1.5 < found["set_size"].high
    # Val's 5,000 images are easier than test's: at 0.9 less than 0.9 of test is held, and as much as of others like it.
    easy, hard = (random_predictions(5000, 3, seed, skill=skill) for seed, skill in ((0, 3.0), (1, 1.0)))
    own_settings = settings(workspace, 0.9)
    of_hard = module.set_measures(kept_of(easy), hard, own_settings, 0)
    assert of_hard["set_coverage"].high < 0.8 and 1 < of_hard["set_size"].value < 2
    alike = module.set_measures(kept_of(hard), random_predictions(5000, 3, 2, skill=1.0), own_settings, 0)
    assert (
        alike["set_coverage"].value == pytest.approx(0.9, abs=0.02)
        and alike["set_size"].value > of_hard["set_size"].value
    )


def test_the_measures_are_those_of_worked_sets_and_hold_in_a_simulation(workspace: Workspace) -> None:
    refuse_other_measures(workspace)


FAULTS = {
    "the likeliest class in place of the true one": ("predictions.labels], held", "predictions.predicted], held"),
    "no image with more than one class": ("held.sum(axis=1)", "held.any(axis=1)"),
    "fitted on test": (
        "val.labels.numpy(), val.relative_probability.numpy()",
        "predictions.labels, predictions.probabilities[np.arange(len(predictions.labels)), predictions.labels] "
        "/ predictions.probabilities.max(axis=1)",
    ),
    "the coverage on the other side": (
        "predictions.classes, settings.coverage",
        "predictions.classes, 1 - settings.coverage",
    ),
    "a total in place of a mean": (" / weights.sum()", ""),
    "another interval": (
        "share_of_images(right, predictions.clusters, settings",
        "share_of_images(held[:, 0], None, settings",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(workspace: Workspace, fault: str) -> None:
    faulty = planted(own, *FAULTS[fault])
    with pytest.raises((AssertionError, KeyError)):
        refuse_other_measures(workspace, faulty)


def test_too_few_val_images_give_no_measure_and_a_line(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    val = kept_of(random_predictions(24, 2))
    assert own.set_measures(val, random_predictions(50, 2, 1), settings(workspace, 0.99), 0) == {}
    line = capsys.readouterr().err
    assert line.startswith("evaluate.coverage: no set of classes is measured: a coverage of 0.99 takes 99 val images")
    assert own.line_of_sets({}, "test", 0.99) is None


def test_the_line_says_the_share_and_the_size(workspace: Workspace) -> None:
    val = val_images(np.arange(19) % 2, np.arange(1, 20) / 20)
    test = from_probabilities([0, 1], [[0.9, 0.1], [0.98, 0.02]])
    found = own.set_measures(val, test, settings(workspace, 0.95), 0)
    line = own.line_of_sets({("test", name): measure for name, measure in found.items()}, "test", 0.95)
    assert line == (
        "sets of classes, coverage 0.95: the true one is in those of 0.500 of 2 test images [0.013, 0.987]; a set "
        "has 1.50 classes on average"
    )
