"""The command on a small model: what it writes, and what it refuses; and the numbers, against scipy's."""

import shutil
import sys
import types
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from plumbline.classifier import Classifier
from plumbline.params.evaluate import Evaluate
from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace
from tests.support.models import write_random_model
from tests.support.planted import planted
from tests.support.results import write_images
from tools.robustness import __main__ as tool
from tools.robustness import differences
from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES
from tools.robustness.results import Answers, as_text, relative_accuracy, results_table

CLASSES = ["ant", "bee"]


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    """A workspace with a model that knows nothing, and six images in each split."""
    workspace.set(data__root="images", image__resize=40, image__crop=33)
    write_images(Path("images"), CLASSES, 3)
    prepare.main()
    write_random_model(CLASSES)
    return workspace


def robustness(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> pd.DataFrame:
    monkeypatch.setattr(sys, "argv", ["tools.robustness", *arguments])
    tool.main()
    return pd.read_csv(tool.TABLE, keep_default_na=False)


@pytest.mark.medium
def test_the_clean_images_are_judged_as_the_files_are_and_each_corruption_has_its_rows(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = robustness(monkeypatch)
    files = sorted(Path("images/test").rglob("*.png"))
    right = [own.predicted == file.parent.name for own, file in zip(Classifier.load()(files), files, strict=True)]
    assert table.loc[0, ["corruption", "severity", "accuracy", "images"]].tolist() == ["none", 0, np.mean(right), 6]
    assert table[["corruption", "severity"]][1:].to_numpy().tolist() == [
        [name, severity] for name in CORRUPTIONS for severity in SEVERITIES
    ]
    assert "accuracy on 6 test images after each corruption" in capsys.readouterr().out
    written = [path.read_bytes() for path in (tool.TABLE, tool.FIGURE)]
    robustness(monkeypatch, "--model", "models/finetuned.safetensors", "--split", "test")
    assert [path.read_bytes() for path in (tool.TABLE, tool.FIGURE)] == written


def test_the_last_split_is_measured_unless_another_is_named() -> None:
    splits = dict.fromkeys(["train", "val", "test"])
    assert tool.chosen_split(None, splits) == "test"
    assert tool.chosen_split("val", splits) == "val"
    assert tool.chosen_split(None, {"train": None, "val": None}) == "val"


def test_what_cannot_be_measured_is_refused_in_one_line(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="--split is later, and data/prepared has train, val, test$"):
        robustness(monkeypatch, "--split", "later")
    with pytest.raises(UserError, match="there is no model file other.safetensors"):
        robustness(monkeypatch, "--model", "other.safetensors")
    write_random_model(["ant", "cat"])
    with pytest.raises(UserError, match="knows the classes ant, cat, data/prepared has ant, bee"):
        robustness(monkeypatch)
    assert not tool.TABLE.exists()


def answers(images: int, losses: dict[str, int]) -> Answers:
    """Return the answers of a model that is right on all but the last image, and after a corruption on some fewer."""
    clean = np.arange(images) < images - 1
    corrupted = {
        (name, severity): np.arange(images) < images - 1 - losses.get(name, 0) * severity
        for name in CORRUPTIONS
        for severity in SEVERITIES
    }
    return Answers(clean, corrupted)


SETTINGS = Evaluate.model_construct(confidence=0.95, resamples=2000, sampling="images")


def test_accuracies_have_exact_intervals_and_changes_are_paired() -> None:
    table = results_table(answers(100, {"jpeg": 10}), None, 0.95).set_index(["corruption", "severity"])
    own = table.loc[("jpeg", 2)]
    wanted = binomtest(79, 100).proportion_ci(0.95, "exact")
    assert (own["accuracy"], own["low"], own["high"]) == pytest.approx((0.79, wanted.low, wanted.high))
    assert own["change"] == pytest.approx(-0.2)
    assert own["change_low"] < -0.2 < own["change_high"] < 0
    assert table.loc[("shift", 5), "change"] == 0
    assert table.loc[("shift", 5), "change_low"] < 0 < table.loc[("shift", 5), "change_high"]
    assert own["setting"] == 18
    grouped = results_table(answers(100, {"jpeg": 10}), np.arange(100) // 10, 0.95).set_index(
        ["corruption", "severity"]
    )
    assert grouped.loc[("jpeg", 2), "low"] < own["low"]


def test_the_one_number_is_the_mean_in_parts_of_the_clean_accuracy_worked_by_hand() -> None:
    given, labels = answers(101, {"jpeg": 10}), np.zeros(101, int)
    # Of 100 right, jpeg loses 10, 20, 30, 40 and 50, and the seven others none: 1 - 0.3 / 8.
    found = relative_accuracy(given, labels, None, SETTINGS, seed=0)
    assert found.value == pytest.approx(1 - 0.3 / 8)
    # An image right on a share m of the 40 counts m / clean: the deviation of the mean of m, of the normal distribution.
    mean = np.mean(list(given.corrupted.values()), axis=0)[:-1]
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * mean.std() / 10, rel=0.1)
    wider = relative_accuracy(given, labels, np.arange(101) // 10, SETTINGS, seed=0)
    assert wider.high - wider.low > 1.5 * (found.high - found.low)
    text = as_text(results_table(given, None, 0.95), found, "test", 0.95)
    assert "mean relative accuracy 0.963" in text
    row = next(line.split() for line in text.splitlines() if line.split()[:1] == ["jpeg"])
    assert row == ["jpeg", "0.891", "0.792", "0.693", "0.594", "0.495", "0.693"]


def refuse_other_differences(module: types.ModuleType = differences) -> None:
    """Assert that both the differences and the one number are paired, and whose accuracy is less whose."""
    better, worse = answers(101, {"jpeg": 10}), answers(101, {"jpeg": 12, "shift": 1})
    table = module.difference_table(better, worse, None, 0.95).set_index(["corruption", "severity"])
    own = table.loc[("jpeg", 5)]
    assert own[["accuracy", "against", "difference"]].tolist() == pytest.approx([50 / 101, 40 / 101, 10 / 101])
    # Ten images alone differ, all one way: a difference of independent images would have an interval across 0.
    assert 0 < own["low"] < 10 / 101 < own["high"]
    assert table.loc[("none", 0), "difference"] == 0 and table.loc[("none", 0), "low"] < 0
    found = module.relative_difference([better, worse], np.zeros(101, int), None, SETTINGS, 0)
    # jpeg loses 0.02 of 100 a step more, in the mean of five 0.06; shift 0.01 a step more, 0.03.
    assert found.value == pytest.approx(0.09 / 8)
    each = (np.mean(list(better.corrupted.values()), axis=0) - np.mean(list(worse.corrupted.values()), axis=0))[:-1]
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * each.std() / 10, rel=0.15)
    text = module.difference_as_text(table.reset_index(), found, ["new", "old"], 0.95)
    assert "accuracy of new less that of old" in text and "mean relative accuracy +0.011" in text
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["jpeg"] == ["+0.020", "+0.040", "+0.059*", "+0.079*", "+0.099*"]
    assert rows["scale"] == ["+0.000"] * 5


def test_the_differences_of_two_models_are_paired() -> None:
    refuse_other_differences()


FAULTS = {
    "the sides swapped": ("difference_of_shares(others, right,", "difference_of_shares(right, others,"),
    "a model compared with itself": ("(right, against.corrupted[key])", "(right, right)"),
    "the one number the other way round": ("relative_of(both[0]) - relative_of(both[1])", "relative_of(both[1]) - relative_of(both[0])"),
    "not paired": ("samples[:, 0] - samples[:, 1]", "samples[:, 0] - samples[::-1, 1]"),
    "the star where there is no difference": ("' ' if row.low <= 0 <= row.high else '*'", "'*' if row.low <= 0 <= row.high else ' '"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    with pytest.raises(AssertionError):
        refuse_other_differences(planted(differences, *FAULTS[fault]))


@pytest.mark.medium
def test_two_models_are_compared_on_the_same_images(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = robustness(monkeypatch)
    shutil.copy("models/finetuned.safetensors", "same.safetensors")
    pd.testing.assert_frame_equal(robustness(monkeypatch, "--against", "same.safetensors"), alone)
    found = pd.read_csv(tool.DIFFERENCE, keep_default_na=False)
    assert (found["difference"] == 0).all() and (found["accuracy"] == alone["accuracy"]).all()
    assert "accuracy of models/finetuned.safetensors less that of same.safetensors" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is no model file other.safetensors"):
        robustness(monkeypatch, "--against", "other.safetensors")
