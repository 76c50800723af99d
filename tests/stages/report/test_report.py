"""The page's parts: numbers as text, tables, the last commit's metrics, and the same bytes twice."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import yaml

from plumbline.params.all import AllParams
from plumbline.results.measures_file import MEASURES, Measure, Measures, write_measures
from plumbline.results.tables import COLUMNS
from plumbline.run import params_file
from stages.report import __main__ as report
from stages.report.changes_section import changes, last_other_measures
from stages.report.data_section import data_sentence
from stages.report.figures_and_tables import shown, table
from stages.report.homework_section import differences_from_homework, fine_tuning_answer, lag_of_val, share_of
from stages.report.result_section import baselines_sentence, headline, mistakes_sentence, slices_table, training_figures
from stages.report.stage_results import Results
from tests.conftest import Workspace, commit_all, run_in


def test_numbers_read_as_a_person_writes_them() -> None:
    values = [5133600, 0.0311, 1.0, 65536.0, None, "", "x", True]
    dash = "\N{EN DASH}"
    assert [shown(value) for value in values] == ["5,133,600", "0.0311", "1", "65,536", dash, dash, "x", "true"]


def test_a_long_table_says_what_it_leaves_out() -> None:
    made = table("t", ["name", "images"], [[f"class {i}", 1000 * i] for i in range(40)], most=30)
    assert len(made.rows) == 30
    assert made.left_out == "10 more rows are left out."
    assert made.rows[2] == ["class 2", "2,000"]
    assert made.numeric == [False, True]


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


def results_of(measures: Measures, **tables: pd.DataFrame) -> Results:
    """Return what the sentences read: measures, classes and tables, the rest empty."""
    empty = dict.fromkeys((each.name for each in fields(Results)), pd.DataFrame())
    return Results(**empty | {"measures": measures, "classes": ["a", "b"]} | tables)


def test_the_five_weakest_parts_of_the_final_split_are_shown_with_what_luck_would_do() -> None:
    rows = [("val", "side 9", 20, 0.1, 0.0, 0.3, 0.9, 0.001, 0.002)]
    rows += [("test", f"side {i}", 1000 + i, 0.5 + i / 10, 0.4, 0.99, 0.75, 0.01, 0.04) for i in range(6)]
    measures = {(split, "accuracy"): Measure(0.5, 9, 0.3, 0.7) for split in ("train", "val", "test")}
    slices = pd.DataFrame(rows, columns=COLUMNS["slices"])
    found = slices_table(results_of(measures, slices=slices))
    assert found.title == "Where the accuracy on test is lowest"
    assert found.rows[0] == ["side 0, 1,000 images", "0.500 [0.400, 0.990]", "0.750", "0.04"]
    assert [row[0] for row in found.rows] == [f"side {i}, {1000 + i:,} images" for i in range(5)]


def accuracies(split: str, accuracy: float) -> Measures:
    """Return a split's accuracy, with its interval and its baselines."""
    own = {"accuracy": Measure(accuracy, 4, 0.3, 0.9999), "majority_accuracy": Measure(0.5, 4, 0.3, 0.7)}
    return {(split, name): value for name, value in (own | {"probe_accuracy": Measure(0.75, 4, 0.5, 0.9)}).items()}


def test_the_result_is_k_of_n_with_its_interval_on_test_or_else_on_val_with_a_warning() -> None:
    predictions = pd.DataFrame({"split": ["val"] * 4 + ["test"] * 3, "correct": [1, 1, 1, 0, 1, 1, 0]})
    doubts = pd.DataFrame({"path": ["x"]})
    val = accuracies("train", 1.0) | accuracies("val", 0.75)
    results = results_of(val, predictions=predictions, label_doubts=doubts)
    said = "3 of 4 val images are classified correctly: accuracy 75.0%, 97.5% interval 30.0% to 99.9%."
    assert headline(results, 0.975) == said
    assert baselines_sentence(results).endswith("There is no test split: the accuracy on val is optimistic.")
    results = results_of(val | accuracies("test", 2 / 3), predictions=predictions, label_doubts=doubts)
    said = "2 of 3 test images are classified correctly: accuracy 66.7%, 95% interval 30.0% to 99.9%."
    assert headline(results, 0.95) == said
    assert "optimistic" not in baselines_sentence(results)
    assert mistakes_sentence(results) == "1 of 3 test images is misclassified; 1 label over all splits may be wrong"


def test_the_data_are_summed_up_with_what_was_not_used() -> None:
    manifest = pd.DataFrame({"split": ["train"] * 1200 + ["val"] * 34})
    measures = accuracies("train", 1.0) | accuracies("val", 1.0)
    said = "1,234 images of 2 classes (1,200 train, 34 val); "
    assert data_sentence(results_of(measures, manifest=manifest)) == f"{said}every file was used"
    unused = pd.DataFrame({"path": ["x"]})
    assert data_sentence(results_of(measures, manifest=manifest, quarantine=unused)) == f"{said}1 file was not used"


def test_problem_4_is_answered_as_k_of_n_and_says_what_differs_from_the_homework(workspace: Workspace) -> None:
    manifest = pd.DataFrame({"split": ["train"] * 60 + ["val"] * 24})
    columns = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy")
    history = pd.DataFrame([[0, 1.0, 0.5, 0.8, 0.5], [1, 0.1, 57 / 60, 0.2, 23 / 24]], columns=columns)
    results = results_of({}, manifest=manifest, history=history)
    said = "After 2 epochs the train accuracy is 57 of 60 (95.0%) and the val accuracy 23 of 24 (95.8%)."
    assert fine_tuning_answer(results).startswith(said)
    assert lag_of_val(results, params_file.load(AllParams)) == ""
    lagging = pd.DataFrame([[0, 1.0, 0.5, 0.8, 0.5], [1, 0.2, 0.9, 0.9, 0.5]], columns=columns)
    lag = lag_of_val(results_of({}, manifest=manifest, history=lagging), params_file.load(AllParams))
    assert lag.startswith("In epoch 1, counted from 0, val accuracy is 0.40 below train accuracy.")
    assert "an epoch has 4 batches" in lag
    assert share_of(0.333, 60) == "33.3%"  # blended images
    digits = differences_from_homework(results, params_file.load(AllParams))
    assert [sentence.split()[1] for sentence in digits] == ["images", "network", "homework's"]
    workspace.set(finetune__lr=0.01, weights__source="imagenet", data__root="flowers")
    own = differences_from_homework(results, params_file.load(AllParams))
    assert own[0] == "The images are those of flowers."
    assert own[-1] == "finetune.lr is 0.01; the homework has 0.001."
    assert len(own) == 3
    workspace.set(data__root="flowers")
    assert lag_of_val(results_of({}, manifest=manifest, history=lagging), params_file.load(AllParams)) == ""


def test_a_run_that_began_with_the_probe_says_so(workspace: Workspace) -> None:
    manifest = pd.DataFrame({"split": ["train"] * 60 + ["val"] * 24})
    columns = ("epoch", "train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate")
    rows = [[-1, 0.1, 1.0, 0.3, 0.5, 0.0], [0, 0.05, 57 / 60, 0.2, 23 / 24, 0.01]]
    probe, tuned = (
        results_of({}, manifest=manifest, history=pd.DataFrame(rows[:end], columns=columns)) for end in (1, 2)
    )
    answer = fine_tuning_answer(probe)
    assert answer.startswith("No epoch was trained: the head is a logistic regression")
    assert answer.endswith("The train accuracy is 60 of 60 (100%) and the val accuracy 12 of 24 (50.0%).")
    answer = fine_tuning_answer(tuned)
    assert answer.startswith("After 1 epoch the train accuracy is 57 of 60 (95.0%)")
    assert "From the linear probe, epoch -1, to the last epoch the loss goes from 0.100 to 0.050 (train)" in answer
    assert lag_of_val(probe, params_file.load(AllParams)) == ""
    Path("data/figures").mkdir(parents=True)
    for name in ("loss", "accuracy", "learning_rate"):
        Path(f"data/figures/{name}.svg").write_text("<svg/>")
    *_, none = training_figures(probe)
    assert none == "No epoch was trained: only the head was fitted."
    *_, one = training_figures(tuned)
    assert one == "The learning rate is 0.01 in every epoch."
    falling = pd.DataFrame([*rows, [1, 0.04, 1.0, 0.2, 23 / 24, 0.002]], columns=columns)
    *_, two = training_figures(results_of({}, manifest=manifest, history=falling))
    assert two.alt.endswith("over 2 epochs: it starts at 0.01, is at most 0.01 and ends at 0.002.")


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


@pytest.mark.slow
def test_a_second_run_gives_the_same_bytes_also_once_it_is_committed(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_copy)
    first = report.PAGE.read_bytes()
    assert len(first) < 8_000_000
    report.main()
    assert report.PAGE.read_bytes() == first
    text = first.decode()
    assert "Compared with commit" in text  # the project's own metrics, which were committed first
    for stage in ("backprop", "convolution", "weight_decay", "curvature"):
        metrics = json.loads(Path(f"metrics/{stage}.json").read_text())
        assert f"{metrics['checks_passed']} checks passed" in text
    assert "5,133,600" in text
