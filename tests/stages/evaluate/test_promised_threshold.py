"""A promised threshold falls short on new images as rarely as was promised, and no more rarely than it must."""

import types

import numpy as np
import pytest
from scipy.stats import beta

from plumbline.run import params_file
from plumbline.run.errors import UserError
from stages.evaluate import __main__ as evaluate
from stages.evaluate import evaluation
from stages.evaluate import promised_threshold as own
from stages.evaluate.predictions import SplitPredictions
from tests.conftest import Workspace
from tests.stages.evaluate.conftest import from_probabilities, random_predictions
from tests.support.planted import planted

ALLOWED, RISK = 0.1, 0.05
FEWEST = 29  # 0.9^29 = 0.0471, 0.9^28 = 0.0523


def refuse_other_thresholds(module: types.ModuleType = own) -> None:
    """Assert that thresholds have the ranks that other formulas and worked examples give."""
    for images in (FEWEST, 60, 153, 1000):  # the share below the k-th of them has Beta(k, images + 1 - k)
        below = int(module.highest_with_recall(np.arange(images)[::-1] / 1.0, ALLOWED, RISK))
        assert beta(below + 1, images - below).sf(ALLOWED) <= RISK < beta(below + 2, images - below - 1).sf(ALLOWED)
    # One wrong of 30 has a p-value of 0.9^30 + 30 0.1 0.9^29 = 0.184: the 29 before it are certified, and no more.
    sureness, wrong = np.linspace(1, 0.5, 200), np.arange(200) == FEWEST
    found = module.lowest_with_few_wrong(sureness, wrong, ALLOWED, RISK)
    assert (sureness >= found).sum() == FEWEST
    assert module.lowest_with_few_wrong(sureness, ~wrong & False, ALLOWED, RISK) == 0
    assert module.lowest_with_few_wrong(np.ones(200), wrong, ALLOWED, RISK) == 0  # alike: all or none
    assert module.lowest_with_few_wrong(np.ones(200), np.arange(200) < 30, ALLOWED, RISK) is None
    some_alike = np.repeat([1.0, 0.9, 0.8], [40, 40, 120])
    assert module.lowest_with_few_wrong(some_alike, np.arange(200) >= 60, ALLOWED, RISK) == np.nextafter(0.9, 1)
    # Where as many are wrong as are allowed, whatever the sureness, each certificate is false: 0.0471 of them are.
    chance, draws = np.random.default_rng(0), 2000
    false = sum(
        module.lowest_with_few_wrong(np.linspace(1, 0, 100), chance.random(100) < ALLOWED, ALLOWED, RISK) is not None
        for _ in range(draws)
    )
    error = (0.0471 * (1 - 0.0471) / draws) ** 0.5
    assert abs(false / draws - 0.0471) < 4 * error, false / draws


def test_the_thresholds_are_those_of_other_formulas() -> None:
    refuse_other_thresholds()


FAULTS = {
    "the rank off by one": ("<= risk)[-1])", "<= risk)[-1]) + 1"),
    "the rank off by one, to the safe side": ("<= risk)[-1])", "<= risk)[-1]) - 1"),
    "a recall without its uncertainty": (
        "binom.cdf(np.arange(len(of_positive)), len(of_positive), allowed) <= risk",
        "np.arange(len(of_positive)) <= allowed * len(of_positive)",
    ),
    "a share without its uncertainty": (
        "binom.cdf(wrong_among[surer], surer, allowed) <= risk",
        "wrong_among[surer] <= allowed * surer",
    ),
    "the mistakes off by one": ("binom.cdf(wrong_among[surer], surer", "binom.cdf(wrong_among[surer] - 1, surer"),
    "the sides swapped": ("surer, allowed) <= risk", "surer, allowed) > risk"),
    "the best of all tests": (
        "in_order[: first_kept[0]] if len(first_kept) else in_order",
        "in_order[rejected[in_order]]",
    ),
    "the least sure first": ("order, fewest = np.argsort(-sureness", "order, fewest = np.argsort(sureness"),
    "the image at the threshold counted": ("np.nextafter(borders[certified[-1]], math.inf)", "borders[certified[-1]]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    faulty = planted(own, *FAULTS[fault])
    with pytest.raises((AssertionError, TypeError)):
        refuse_other_thresholds(faulty)


def settings(workspace: Workspace, **values: object) -> evaluate.Evaluate:
    workspace.set(**{f"evaluate__threshold__{key}": value for key, value in values.items()})
    return params_file.load(evaluate.Params).evaluate


def splits(val: int, seed: int = 0) -> dict[str, SplitPredictions]:
    made = {"val": random_predictions(val, 2, seed, skill=3.0), "test": random_predictions(300, 2, seed + 1, skill=3.0)}
    return {name: SplitPredictions(each, each) for name, each in made.items()}


@pytest.mark.parametrize("aim", ["recall", "precision", "accuracy"])
def test_the_stage_promises_and_measures_on_the_other_splits(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], aim: str
) -> None:
    predictions = splits(200)
    found = evaluation.measures_at_threshold(predictions, 1, settings(workspace, aim=f"promised_{aim}"), 0)
    threshold = found.pop(("val", "threshold")).value
    assert f"it has a {aim} of at least 0.9" in capsys.readouterr().out
    of_val = {"val": predictions["val"]}
    wish = settings(workspace, aim=f"promised_{aim}")
    assert evaluation.measures_at_threshold(of_val, 1, wish, 0)["val", "threshold"].value == threshold
    assert {split for split, _ in found} == {"test"}
    test = predictions["test"].plain
    positive, actual = test.probabilities[:, 1] >= threshold, test.labels == 1
    sure = test.probabilities.max(axis=1) >= threshold
    wanted = {
        "recall": (positive & actual).sum() / actual.sum(),
        "precision": (positive & actual).sum() / positive.sum(),
        "accuracy": (test.predicted == test.labels)[sure].mean(),
    }[aim]
    assert found["test", f"at_threshold_{aim}"].value == pytest.approx(wanted)
    if aim == "accuracy":
        abstained = found["test", "at_threshold_abstained"]
        assert abstained.value == pytest.approx(1 - sure.mean()) and abstained.low < abstained.high


def test_the_accuracy_of_more_than_two_classes_is_promised_too(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    made = {name: random_predictions(400, 4, seed, skill=2.0) for seed, name in enumerate(("val", "test"))}
    predictions = {name: SplitPredictions(each, each) for name, each in made.items()}
    wish = settings(workspace, aim="promised_accuracy", promised=0.9)
    found = evaluation.measures_at_threshold(predictions, 1, wish, 0)
    threshold, test = found["val", "threshold"].value, made["test"]
    assert (
        f"with a confidence of 0.95: python -m tools.predict --abstain-below {threshold!r}" in capsys.readouterr().out
    )
    sure = test.probabilities.max(axis=1) >= threshold
    assert 0.3 < sure.mean() < 1 and test.right.mean() < 0.9 < test.right[sure].mean()
    assert found["test", "at_threshold_accuracy"].value == pytest.approx(test.right[sure].mean())
    assert found["test", "at_threshold_abstained"].value == pytest.approx(1 - sure.mean())


def test_too_few_val_images_are_refused_with_the_number_that_would_do(workspace: Workspace) -> None:
    with pytest.raises(UserError, match="to promise 0.9 takes 29 val images, and there are 28: give more, or lower"):
        evaluation.measures_at_threshold(splits(28), 1, settings(workspace, aim="promised_precision"), 0)
    positives = int((splits(50)["val"].plain.labels == 1).sum())
    with pytest.raises(UserError, match=f"29 val images of the positive class, and there are {positives}"):
        evaluation.measures_at_threshold(splits(50), 1, settings(workspace, aim="promised_recall"), 0)


def test_where_val_shows_no_threshold_a_line_says_so(workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = from_probabilities([0] * 40, [[0.1, 0.9]] * 40)
    wish = settings(workspace, aim="promised_accuracy")
    assert evaluation.measures_at_threshold({"val": SplitPredictions(wrong, wrong)}, 1, wish, 0) == {}
    assert "of the 40 surest val images 40 are wrong, and none may be" in capsys.readouterr().err  # all are as sure
    some = from_probabilities([1] * 29 + [0] * 31, [[0.1, 0.9]] * 60)
    assert evaluation.measures_at_threshold({"val": SplitPredictions(some, some)}, 1, wish, 0) == {}
    # Of 60 images that are wrong with the probability 0.1, two or fewer are so in 5.3 % of draws, one or none in 1.4 %.
    assert "of the 60 surest val images 31 are wrong, and at most 1 may be" in capsys.readouterr().err
    apart = from_probabilities([0] * 40, [[0.1, 0.9]] + [[0.1 + i / 1000, 0.9 - i / 1000] for i in range(1, 40)])
    assert evaluation.measures_at_threshold({"val": SplitPredictions(apart, apart)}, 1, wish, 0) == {}
    assert "of the 29 surest val images 29 are wrong, and none may be" in capsys.readouterr().err
