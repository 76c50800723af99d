"""The threshold costs least of all there are, tried one by one; where probabilities are true it is Chow's."""

import types

import numpy as np
import pytest

from plumbline.params.evaluate import Evaluate
from plumbline.run import params_file
from plumbline.run.errors import UserError
from stages.evaluate import __main__ as evaluate
from stages.evaluate import abstaining as own
from stages.evaluate import evaluation
from stages.evaluate.predictions import SplitPredictions
from tests.conftest import Workspace
from tests.stages.evaluate.conftest import from_probabilities, random_predictions
from tests.support.planted import planted


def cost_at(threshold: float, sureness: np.ndarray, wrong: np.ndarray, cost: float) -> float:
    return sum(cost if sure < threshold else float(is_wrong) for sure, is_wrong in zip(sureness, wrong, strict=True))


def refuse_other_thresholds(module: types.ModuleType = own) -> None:
    """Assert that no threshold costs less on the images that chose it, and that of many images it is Chow's."""
    for seed in range(20):
        chance = np.random.default_rng(seed)
        sureness = chance.random(30).round(1 + seed % 2)  # with ties, and with few
        wrong, cost = chance.random(30) > sureness, (0.05, 0.3, 0.7)[seed % 3]
        found = module.cheapest_threshold(sureness, wrong, cost)
        every = [*sureness, *(np.unique(sureness) + 1e-9), 1 - cost]
        costs = [cost_at(threshold, sureness, wrong, cost) for threshold in every]
        assert cost_at(found, sureness, wrong, cost) == pytest.approx(min(costs))
        alike = [t for t, each in zip(every, costs, strict=True) if each == pytest.approx(min(costs))]
        assert abs(found - (1 - cost)) <= min(abs(t - (1 - cost)) for t in alike) + 1e-8
    # Of images that are as often right as they are sure, from 0.5 to 1, Chow's rule answers those above 1 - cost.
    chance = np.random.default_rng(0)
    sureness = chance.uniform(0.5, 1, 200_000)
    wrong = chance.random(200_000) > sureness
    for cost in (0.1, 0.3):
        assert module.cheapest_threshold(sureness, wrong, cost) == pytest.approx(1 - cost, abs=0.02)
        # The least cost: of u in (1/2, 1) the mean of 1 - u above 1 - cost, and of the cost below: cost - cost^2.
        total = cost_at(module.cheapest_threshold(sureness, wrong, cost), sureness, wrong, cost)
        assert total / 200_000 == pytest.approx(cost - cost**2, abs=0.002)
    none_right = module.cheapest_threshold(np.full(5, 0.9), np.ones(5, bool), 0.1)
    assert none_right > 0.9


def test_no_threshold_costs_less_and_that_of_true_probabilities_is_chows() -> None:
    refuse_other_thresholds()


FAULTS = {
    "the border on the wrong side": ("candidates)\n", 'candidates, "right")\n'),
    "the right ones counted as wrong": ("wrong.sum() - wrong_below", "wrong_below"),
    "the mistakes off by one": ("cumsum())[left_out]", "cumsum())[np.maximum(left_out - 1, 0)]"),
    "images left out that cost nothing": ("cost * left_out + ", "0 * left_out + "),
    "the most expensive one": ("total.min()", "total.max()"),
    "no way to leave out all": ("*np.nextafter(sureness, math.inf), ", ""),
    "of those that cost alike the farthest from Chow's": (".argmin()", ".argmax()"),
    "nearest to the cost": ("np.abs(best - (1 - cost))", "np.abs(best - cost)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    with pytest.raises((AssertionError, IndexError, ValueError)):
        refuse_other_thresholds(planted(own, *FAULTS[fault]))


def settings(workspace: Workspace, **values: object) -> Evaluate:
    workspace.set(**{f"evaluate__threshold__{key}": value for key, value in values.items()})
    return params_file.load(evaluate.Params).evaluate


@pytest.mark.parametrize("classes", [2, 4])
def test_the_stage_measures_what_leaving_images_out_costs(
    workspace: Workspace, capsys: pytest.CaptureFixture[str], classes: int
) -> None:
    made = {name: random_predictions(300, classes, seed, skill=2.5) for seed, name in enumerate(("val", "test"))}
    predictions = {name: SplitPredictions(each, each) for name, each in made.items()}
    found = evaluation.measures_at_threshold(predictions, 1, settings(workspace, aim="abstain", abstaining_cost=0.2), 0)
    threshold, test = found["val", "threshold"].value, made["test"]
    assert f"--abstain-below {threshold!r}" in capsys.readouterr().out
    sureness = test.probabilities.max(axis=1)
    wanted = cost_at(threshold, sureness, test.predicted != test.labels, 0.2) / 300
    assert found["test", "at_threshold_cost"].value == pytest.approx(wanted)
    assert found["test", "at_threshold_abstained"].value == pytest.approx((sureness < threshold).mean())
    assert found["test", "at_threshold_accuracy"].value == pytest.approx(test.right[sureness >= threshold].mean())
    assert {name for split, name in found if split == "val"} == {
        "threshold", "at_threshold_abstained", "at_threshold_accuracy", "at_threshold_cost",
    }  # fmt: skip


def test_vals_measures_are_not_those_of_the_images_that_set_the_threshold(workspace: Workspace) -> None:
    wish = settings(workspace, aim="abstain", abstaining_cost=0.2)
    fitted, crossed, new = [], [], []
    for seed in range(150):
        val, fresh = (random_predictions(24, 3, seed + start, skill=1.5) for start in (0, 1000))
        found = evaluation.measures_at_threshold(
            {"val": SplitPredictions(val, val), "test": SplitPredictions(fresh, fresh)}, 1, wish, 0
        )
        if ("val", "at_threshold_cost") in found:
            crossed.append(found["val", "at_threshold_cost"].value)
            new.append(found["test", "at_threshold_cost"].value)
            sureness = val.probabilities.max(axis=1)
            fitted.append(cost_at(found["val", "threshold"].value, sureness, ~val.right, 0.2) / 24)
    error = np.std(new) / len(new) ** 0.5
    assert np.mean(new) - np.mean(fitted) > 4 * error
    assert abs(np.mean(crossed) - np.mean(new)) < 4 * error


@pytest.mark.parametrize("aim", ["f1", "recall", "cost", "promised_recall", "promised_precision"])
def test_an_aim_for_two_classes_is_refused_where_there_are_more(workspace: Workspace, aim: str) -> None:
    val = random_predictions(100, 3)
    with pytest.raises(UserError, match=f"aim is {aim}, which is for two classes, and there are 3: choose one of acc"):
        evaluation.measures_at_threshold({"val": SplitPredictions(val, val)}, 1, settings(workspace, aim=aim), 0)
    assert evaluation.measures_at_threshold({"val": SplitPredictions(val, val)}, 1, settings(workspace, aim="accuracy"), 0) == {}  # fmt: skip


def test_a_threshold_that_leaves_out_none_says_nothing_of_predict(
    workspace: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert own.how_to_leave_out(0.0) == own.how_to_leave_out(np.nextafter(1, 2)) == ""
    one_class = from_probabilities([1, 1, 1], [[0.1, 0.9]] * 3)  # no folds: val has the threshold alone
    wish = settings(workspace, aim="abstain", abstaining_cost=0.2)
    found = evaluation.measures_at_threshold({"val": SplitPredictions(one_class, one_class)}, 1, wish, 0)
    assert {name: measure.value for (_, name), measure in found.items()} == {"threshold": 0.8}
    assert "threshold 0.8000: on val it costs least" in capsys.readouterr().out
