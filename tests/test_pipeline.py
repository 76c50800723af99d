"""The pipeline as DVC sees it: it repeats itself, experiments show up, mistakes are one line."""

import csv
import io
import json
import math
from importlib import import_module
from pathlib import Path

import pytest

from plumbline.results.measures_file import MEASURES, read_measures
from plumbline.run.errors import UserError
from tests.conftest import PROJECT, Workspace
from tests.support.pipeline import STAGES
from tests.support.projects import change_params, run_in

MOST_METRICS = 10  # a stage; the rest stands in tables


@pytest.mark.slow
def test_an_experiment_shows_in_the_differences_and_in_the_table(tiny_project: Path, tiny_copy: Path) -> None:
    run_in(tiny_copy, "dvc", "exp", "run", "--name", "surer", "--set-param", "evaluate.confidence=0.99", "report")
    metrics = json.loads(run_in(tiny_copy, "dvc", "metrics", "diff", "--json").stdout)
    assert list(metrics) == ["metrics/evaluate.json"]
    assert metrics["metrics/evaluate.json"]["test_low"]["diff"] < 0
    before, after = (read_measures(folder / MEASURES) for folder in (tiny_project, tiny_copy))
    assert after["test", "macro_f1"].low <= before["test", "macro_f1"].low
    parameters = json.loads(run_in(tiny_copy, "dvc", "params", "diff", "--json").stdout)
    (change,) = parameters["params.yaml"].items()
    assert (change[0], change[1]["old"], change[1]["new"]) == ("evaluate.confidence", 0.95, 0.99)
    table = list(csv.DictReader(io.StringIO(run_in(tiny_copy, "dvc", "exp", "show", "--csv").stdout)))
    (experiment,) = (row for row in table if row["Experiment"] == "surer")
    assert experiment["evaluate.confidence"] == "0.99"
    assert 0 <= float(experiment["test_low"]) <= float(experiment["test_accuracy"])


@pytest.mark.slow
def test_the_metrics_are_readable_in_100_columns(tiny_copy: Path) -> None:
    change_params(tiny_copy, {"evaluate.confidence": 0.9, "weight_decay.steps": 6})
    run_in(tiny_copy, "dvc", "repro", "evaluate", "weight_decay")
    for command, shown in (
        (["show", "metrics/evaluate.json"], "test_accuracy"),
        (["diff"], "test_low"),
    ):
        lines = run_in(tiny_copy, "dvc", "metrics", *command).stdout.splitlines()
        assert all(len(line) <= 100 for line in lines), lines
        assert shown in "".join(lines)


def test_every_stages_metrics_are_few_flat_and_finite_numbers() -> None:
    declared = [path for stage in STAGES.values() for metrics in stage.get("metrics", []) for path in metrics]
    assert sorted(declared) == sorted(path.relative_to(PROJECT).as_posix() for path in PROJECT.glob("metrics/*.json"))
    for path in declared:
        metrics = json.loads((PROJECT / path).read_text())
        assert len(metrics) <= MOST_METRICS, path
        assert all(isinstance(value, (int, float)) and math.isfinite(value) for value in metrics.values()), path


@pytest.mark.medium
def test_a_folder_that_is_called_by_a_number_is_one_line_and_in_quotes_a_folder(scratch_project: Path) -> None:
    (scratch_project / "2024").mkdir()
    change_params(scratch_project, {"data.root": 2024})
    done = run_in(scratch_project, "dvc", "repro", "params", check=False)
    assert "error: params.yaml: data.root is 2024, which YAML does not read as text: put it in quotes" in done.stderr
    change_params(scratch_project, {"data.root": "2024"})
    done = run_in(scratch_project, "dvc", "repro", "prepare", check=False)
    assert "error: data.root must hold a folder for each of at least two classes" in done.stderr


@pytest.mark.slow
def test_an_experiment_elsewhere_runs_the_code_of_its_own_checkout(tiny_copy: Path) -> None:
    path = tiny_copy / "stages" / "convolution" / "network_table.py"
    path.write_text(path.read_text().replace('"network_macs": counted', '"network_macs": counted, "marked": 1'))
    run_in(tiny_copy, "dvc", "exp", "run", "--temp", "--name", "marked", "convolution")
    targets = ("--targets", "metrics/convolution.json", "--")
    difference = json.loads(run_in(tiny_copy, "dvc", "metrics", "diff", "--json", *targets, "HEAD", "marked").stdout)
    assert difference["metrics/convolution.json"]["marked"]["new"] == 1
    assert "marked" not in (tiny_copy / "metrics" / "convolution.json").read_text()


def test_a_mistake_in_any_section_ends_the_stage_for_which_all_others_wait(workspace: Workspace) -> None:
    import_module("stages.params.__main__").main()
    certificate = workspace.folder / "data" / "certificates" / "params.txt"
    assert certificate.exists()
    workspace.set(finetune__learning_rate=0.1)
    with pytest.raises(UserError, match="finetune.learning_rate is not a known key"):
        import_module("stages.params.__main__").main()
    assert not certificate.exists()


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_refuses_a_mistake_in_its_own_sections_before_it_works(workspace: Workspace, stage: str) -> None:
    section = next((key.split(".")[0] for key in STAGES[stage].get("params", []) if key != "seed"), "finetune")
    workspace.set(**{f"{section}__unheard_of": 0.1})
    with pytest.raises(UserError, match=f"{section}.unheard_of is not a known key"):
        import_module(f"stages.{stage}.__main__").main()
    assert [path.name for path in workspace.folder.iterdir()] == ["params.yaml"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"finetune.lr": "fast"}, "error: params.yaml: finetune.lr is 'fast': should be a number"),
        (
            {"finetune.epochs": 0},
            "error: params.yaml: finetune.epochs is 0: should be at least 1 where finetune.head is random",
        ),
        (
            {"finetune.lr": 4.0, "finetune.weight_decay": 0.5},
            "error: finetune.lr is 4, too large for finetune.weight_decay 0.5",
        ),
        (
            {"weights.architecture": "resnet43"},
            "error: weights.architecture is 'resnet43', which is none of torchvision's",
        ),
        ({"data.root": "data/nowhere"}, "ERROR: "),
    ],
    ids=lambda case: next(iter(case)) if isinstance(case, dict) else "",
)
def test_dvc_repro_ends_with_the_one_line_and_no_traceback(tiny_copy: Path, values: dict, line: str) -> None:
    change_params(tiny_copy, values)
    done = run_in(tiny_copy, "dvc", "repro", check=False)
    assert done.returncode != 0
    assert "Traceback" not in done.stdout + done.stderr
    assert any(text.startswith(line) for text in done.stderr.splitlines()), done.stderr


@pytest.mark.medium
def test_what_is_committed_is_what_the_committed_code_and_parameters_give(scratch_project: Path) -> None:
    output = run_in(scratch_project, "dvc", "repro", "--allow-missing", "--dry").stdout
    assert "Running stage" not in output
    for name, stage in STAGES.items():
        for output_ in [*stage.get("metrics", []), *stage.get("plots", [])]:
            if isinstance(output_, dict):  # with `cache: false`: git holds it
                (path,) = output_
                assert (scratch_project / path).exists(), f"{name} writes {path}, which is not committed"


def test_every_output_is_declared_once_and_git_holds_what_dvc_does_not() -> None:
    outputs = [
        next(iter(out)) if isinstance(out, dict) else out
        for stage in STAGES.values()
        for kind in ("outs", "metrics", "plots")
        for out in stage.get(kind, [])
    ]
    assert len(outputs) == len(set(outputs))
    ignored = run_in(PROJECT, "git", "check-ignore", *outputs).stdout.split()
    cached = [out for stage in STAGES.values() for kind in ("outs", "plots") for out in stage.get(kind, [])]
    assert set(ignored) == {out for out in cached if isinstance(out, str)}  # no `cache: false`
