"""What the page says of the last commit's measures."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from plumbline.results.measures_file import MEASURES, Measure, Measures, write_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run.outputs import write_csv
from stages.report.changes_section import changes, last_other_measures
from tests.stages.report.conftest import accuracies, results_of
from tests.support.projects import commit_all, run_in


def measures_with(value: float) -> Measures:
    return {("val", "accuracy"): Measure(value, 24, 0.0, 9.0), ("val", "temperature"): Measure(1.0, 24)}


def test_the_last_other_measures_are_those_before_the_commit_that_holds_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one, two, three, four = map(measures_with, (1.0, 2.0, 3.0, 4.0))
    assert last_other_measures(one) is None  # no repository
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    assert last_other_measures(one) is None  # no commit
    for measures in (one, two, two, three):
        write_measures(measures)
        commit_all(tmp_path, "measures")
    assert last_other_measures(four).measures == three
    assert last_other_measures(three).measures == two  # those are committed: the page stays the same
    assert last_other_measures(measures_with(3.0001)).measures == two  # nobody sees that
    assert last_other_measures(three | {("val", "temperature"): Measure(1.0, 24, 0.5, 1.5)}).measures == three
    MEASURES.write_text("no table")
    commit_all(tmp_path, "broken")
    MEASURES.unlink()
    commit_all(tmp_path, "removed")
    earlier = last_other_measures(three)
    assert earlier.measures == two
    assert re.fullmatch("[0-9a-f]{10}", earlier.commit)
    nested = tmp_path / "nested"
    nested.mkdir()
    monkeypatch.chdir(nested)  # a project below its repository's root
    write_measures(measures_with(7.0))
    commit_all(tmp_path, "nested")
    assert last_other_measures(measures_with(8.0)).measures == measures_with(7.0)


def test_the_changes_lead_with_the_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    before = accuracies("train", 1.0) | accuracies("val", 0.75) | {("val", "loss"): Measure(0.5, 4)}
    write_measures(before)
    commit_all(tmp_path, "before")
    assert changes(results_of(before)) is None
    better = {("val", "loss"): Measure(0.25, 4), ("val", "brier"): Measure(0.1, 4)}
    found = changes(results_of(before | accuracies("val", 0.8) | better))
    assert (
        found.sentence
        == f"val accuracy +0.050 compared with commit {found.commit}; 1 other measure differs; 1 measure is new"
    )
    assert [row[-1] for row in found.table.rows] == ["-0.250", "new"]  # the accuracy's is within its interval
    found = changes(results_of(before | {("val", "loss"): Measure(0.25, 4)}))
    assert found.sentence == f"the same val accuracy as in commit {found.commit}; 1 other measure differs"
    assert found.remarks == []  # the loss has no interval
    found = changes(results_of(before | {("train", "loss"): Measure(0.25, 4)}))
    assert found.sentence == f"the same val accuracy as in commit {found.commit}; no other measure differs"


def test_nothing_is_compared_with_a_commit_that_was_evaluated_on_other_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    rows = [["train", "a", "1"], ["val", "b", "2"], ["val", "c", "3"]]
    before = pd.DataFrame(rows, columns=["split", "path", "sha256"])
    write_measures(accuracies("val", 0.75))
    write_csv(PREDICTIONS, before)
    commit_all(tmp_path, "before")
    better = accuracies("val", 0.8)
    other_train = before.replace("a", "another")
    assert changes(results_of(better, predictions=other_train)).sentence.startswith("val accuracy +0.050 compared with")
    for others, said in (
        (before.replace("3", "9"), "1 image of its 2 in val and test is not there now, and 1 of 2 are new."),
        (before[:2], "1 image of its 2 in val and test is not there now, and 0 of 1 are new."),
    ):
        found = changes(results_of(better, predictions=others))
        assert found.sentence == f"none are shown, because commit {found.commit} was evaluated on other images"
        assert found.table is None
        assert found.remarks == [
            f"Commit {found.commit} was evaluated on other images: {said} So its measures cannot be compared with these."
        ]


def test_what_changed_within_its_interval_is_counted_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    losses = {name: Measure(0.5, 4, 0.4, 0.6) for name in ("auroc", "loss", "brier")}
    same = accuracies("train", 1.0) | accuracies("val", 0.75)
    write_measures(same | {("val", name): loss for name, loss in losses.items()})
    commit_all(tmp_path, "before")
    now = {
        ("val", "loss"): Measure(0.55, 4, 0.45, 0.65),  # each value in the other's interval
        ("val", "brier"): Measure(0.55, 4, 0.51, 0.65),  # the one before is not in the one now
        ("val", "auroc"): Measure(0.61, 4, 0.45, 0.65),  # the one now is not in the one before
    }
    found = changes(results_of(same | now))
    assert [row[0] for row in found.table.rows] == ["val: AUROC", "val: Brier score"]
    assert found.remarks == ["Left out, for a difference within their intervals: 1 measure."]
    assert found.sentence.endswith("; 3 other measures differ")


@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("differs", ["params", "code"])
def test_where_code_data_and_parameters_are_the_same_the_machine_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool, differs: str
) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")

    def write_lock(code: str, lr: float, weights: str) -> None:
        stages = {
            "weights": {
                "cmd": "w",
                "deps": [{"path": "stages/w", "md5": code}],
                "outs": [{"path": "models", "md5": weights}],
            },
            "finetune": {
                "cmd": "f",
                "deps": [{"path": "models/m", "md5": weights}],
                "params": {"params.yaml": {"lr": lr}},
            },
        }
        Path("dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))

    write_measures(accuracies("val", 0.75))
    write_lock("a", 0.1, "one machine's")
    commit_all(tmp_path, "before")
    changed = {"params": ("a", 0.2), "code": ("b", 0.1)}[differs]
    write_lock(*(("a", 0.1) if same else changed), "another machine's")
    found = changes(results_of(accuracies("val", 0.8)))
    assert found.sentence.endswith("by the machine or its libraries") == same
    assert any("comes from the machine" in remark for remark in found.remarks) == same
    Path("dvc.lock").write_text("{")
    assert not changes(results_of(accuracies("val", 0.8))).sentence.endswith("libraries")
