"""The page's parts: numbers as text, formulas, tables, the last commit's metrics, and the same bytes twice."""

import base64
import io
import json
import re
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest
from fontTools.ttLib import TTFont

from stages.report import __main__ as report
from stages.report.changes_section import METRICS, changes, last_other_metrics
from stages.report.data_section import data_sentence
from stages.report.figures_and_tables import shown, table
from stages.report.formulas import math_font, mathml
from stages.report.result_section import baselines_sentence, headline, mistakes_sentence
from stages.report.stage_results import Results
from tests.conftest import commit_all, run_in


def test_numbers_read_as_a_person_writes_them() -> None:
    values = [5133600, 0.0311, 1.0, 65536.0, None, "", "x", True]
    dash = "\N{EN DASH}"
    assert [shown(value) for value in values] == ["5,133,600", "0.0311", "1", "65,536", dash, dash, "x", "true"]


def test_formulas_become_mathml_with_words_upright() -> None:
    root = ElementTree.fromstring(mathml(r"Loss = L(w) + \frac{1}{2} \lambda \sqrt{v}"))
    tags = [element.tag.split("}")[1] for element in root.iter()]
    assert root.tag.endswith("math")
    assert "mfrac" in tags
    assert "msqrt" in tags
    texts = ["".join(element.itertext()) for element in root.iter() if element.tag.endswith("mi")]
    assert "Loss" in "".join(root.itertext())
    assert "L" in texts


def test_the_font_has_what_formulas_are_made_of_and_is_small() -> None:
    source = math_font("\N{SQUARE ROOT}\N{GREEK SMALL LETTER LAMDA}")
    contents = base64.b64decode(source.removeprefix("data:font/woff;base64,"))
    assert len(contents) < 150_000
    font = TTFont(io.BytesIO(contents))
    assert {ord("\N{SQUARE ROOT}"), ord("+"), 0x1D465, 0x1D706} <= set(font.getBestCmap())
    assert font["MATH"].table.MathVariants.VertGlyphConstruction  # roots that grow
    assert math_font("\N{SQUARE ROOT}\N{GREEK SMALL LETTER LAMDA}") == source


def test_a_long_table_says_what_it_leaves_out() -> None:
    made = table("t", ["name", "images"], [[f"class {i}", 1000 * i] for i in range(40)], most=30)
    assert len(made.rows) == 30
    assert made.left_out == "10 more rows are left out."
    assert made.rows[2] == ["class 2", "2,000"]
    assert made.numeric == [False, True]


def test_the_last_other_metrics_are_those_before_the_commit_that_holds_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert last_other_metrics({"a": 1}) is None  # no repository
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    assert last_other_metrics({"a": 1}) is None  # no commit
    for value in (1, 2, 2, 3):
        METRICS.parent.mkdir(exist_ok=True)
        METRICS.write_text(json.dumps({"a": value}))
        commit_all(tmp_path, f"{value}")
    assert last_other_metrics({"a": 4})[1] == {"a": 3}
    assert last_other_metrics({"a": 3})[1] == {"a": 2}  # those are committed: the page stays the same
    assert last_other_metrics({"a": 3.0001})[1] == {"a": 2}  # nobody sees that
    METRICS.write_text("no JSON")
    commit_all(tmp_path, "broken")
    METRICS.unlink()
    commit_all(tmp_path, "removed")
    commit, metrics = last_other_metrics({"a": 3})
    assert metrics == {"a": 2}
    assert re.fullmatch("[0-9a-f]{10}", commit)
    nested = tmp_path / "nested"
    nested.mkdir()
    monkeypatch.chdir(nested)  # a project below its repository's root
    METRICS.parent.mkdir()
    METRICS.write_text(json.dumps({"a": 7}))
    commit_all(tmp_path, "nested")
    assert last_other_metrics({"a": 8})[1] == {"a": 7}


def results_of(metrics: dict[str, float], **tables: pd.DataFrame) -> Results:
    """Return what the sentences read: measures, classes and tables, the rest empty."""
    empty = dict.fromkeys((each.name for each in fields(Results)), pd.DataFrame())
    return Results(**empty | {"metrics": {"evaluate": metrics}, "classes": ["a", "b"]} | tables)


def accuracies(split: str, accuracy: float) -> dict[str, float]:
    """Return a split's accuracy, with its interval and its baselines."""
    own = {"accuracy": accuracy, "accuracy_low": 0.3, "accuracy_high": 0.9999, "majority_accuracy": 0.5}
    return {f"{split}_{name}": value for name, value in (own | {"probe_accuracy": 0.75}).items()}


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
    metrics = accuracies("train", 1.0) | accuracies("val", 1.0)
    said = "1,234 images of 2 classes (1,200 train, 34 val); "
    assert data_sentence(results_of(metrics, manifest=manifest)) == f"{said}every file was used"
    unused = pd.DataFrame({"path": ["x"]})
    assert data_sentence(results_of(metrics, manifest=manifest, quarantine=unused)) == f"{said}1 file was not used"


def test_the_changes_lead_with_the_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run_in(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    before = accuracies("train", 1.0) | accuracies("val", 0.75) | {"val_loss": 0.5}
    METRICS.parent.mkdir()
    METRICS.write_text(json.dumps(before))
    commit_all(tmp_path, "before")
    assert changes(results_of(before)) is None
    found = changes(results_of(before | {"val_accuracy": 0.8, "val_loss": 0.25, "val_brier": 0.1}))
    assert found.sentence == f"val accuracy +0.050 compared with commit {found.commit}; 2 other measures differ"
    assert [row[-1] for row in found.table.rows] == ["+0.050", "-0.250", "new"]
    found = changes(results_of(before | {"val_loss": 0.25}))
    assert found.sentence == f"the same val accuracy as in commit {found.commit}; 1 other measure differs"


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
