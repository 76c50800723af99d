"""The pipeline as DVC sees it: its dependencies are exact, it repeats itself, experiments show up."""

import ast
import csv
import io
import json
import sys
from importlib import import_module
from modulefinder import ModuleFinder
from pathlib import Path

import pytest
import yaml

from plumbline.run import params_file
from plumbline.run.errors import UserError
from plumbline.run.fields import Section
from tests.conftest import PROJECT, Workspace, change_params, run_in

PIPELINE = yaml.safe_load((PROJECT / "dvc.yaml").read_text())
STAGES = PIPELINE["stages"]
MODULES = sorted(
    path.relative_to(PROJECT).as_posix()
    for folder in ("stages", "plumbline")
    for path in (PROJECT / folder).rglob("*.py")
)
# They hold the folders that dvc.yaml names, and nothing that a stage's results follow from.
ABOVE_THE_FOLDERS = {"stages/__init__.py", "plumbline/__init__.py", "plumbline/params/__init__.py"}


def script(stage: str) -> Path:
    """Return the file that `python -m stages.<stage>` runs."""
    return PROJECT / "stages" / stage / "__main__.py"


def imported(path: Path) -> set[str]:
    """Return the project's files that a script imports, however far down, itself included."""
    finder = ModuleFinder(path=[str(PROJECT)])
    finder.run_script(str(path))
    files = {Path(module.__file__) for module in finder.modules.values() if module.__file__}
    packages = {parent / "__init__.py" for parent in path.parents if parent.is_relative_to(PROJECT / "stages")}
    return {file.relative_to(PROJECT).as_posix() for file in files | packages}


def declared_folders(stage: str) -> set[str]:
    """Return the folders of code that dvc.yaml names for a stage."""
    return {dependency for dependency in STAGES[stage]["deps"] if dependency.startswith(("stages/", "plumbline/"))}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_the_folders_of_the_modules_that_it_imports_and_on_no_other(stage: str) -> None:
    modules, folders = imported(script(stage)) - ABOVE_THE_FOLDERS, declared_folders(stage)
    assert all((PROJECT / folder).is_dir() for folder in folders)
    outside = {name for name in modules if not any(name.startswith(f"{folder}/") for folder in folders)}
    unused = {folder for folder in folders if not any(name.startswith(f"{folder}/") for name in modules)}
    assert (outside, unused) == (set(), set())
    assert STAGES[stage]["cmd"] == f"python -m stages.{stage}"
    assert STAGES[stage]["desc"]


def test_what_lies_above_the_folders_decides_no_result() -> None:
    for name in ABOVE_THE_FOLDERS - {"plumbline/__init__.py"}:
        (docstring,) = ast.parse((PROJECT / name).read_text()).body
        assert isinstance(docstring.value, ast.Constant)
    assert imported(PROJECT / "plumbline" / "__init__.py") == {"plumbline/__init__.py"}
    lines = "import sys, plumbline; print(*(name for name in sys.modules if name.startswith('plumbline')))"
    assert run_in(PROJECT, sys.executable, "-c", lines).stdout.split() == ["plumbline"]


def test_a_stages_folder_holds_only_what_the_stage_imports() -> None:
    for stage in STAGES:
        held = {module for module in MODULES if module.startswith(f"stages/{stage}/")}
        assert held - imported(script(stage)) == set()
    assert {path.name for path in (PROJECT / "stages").iterdir() if path.is_dir()} - {"__pycache__"} == set(STAGES)


def test_no_stage_imports_another_and_plumbline_imports_no_stage() -> None:
    for stage in STAGES:
        others = {name for name in imported(script(stage)) if name.startswith("stages/")} - {"stages/__init__.py"}
        assert all(name.startswith(f"stages/{stage}/") for name in others), others
    for module in MODULES:
        if module.startswith("plumbline/"):
            assert not [name for name in imported(PROJECT / module) if name.startswith("stages/")], module


def test_every_stage_waits_for_the_parameters_and_imports_the_schema_of_its_own_sections_alone() -> None:
    for stage in set(STAGES) - {"params"}:
        assert "data/certificates/params.txt" in STAGES[stage]["deps"]
        sections = {key.split(".")[0] for key in STAGES[stage]["params"]} - {"seed"}
        folders = {folder for folder in declared_folders(stage) if folder.startswith("plumbline/params")}
        assert folders == (
            {f"plumbline/params/{name}" for name in sections} if stage != "report" else {"plumbline/params"}
        )


FOR_USERS = {"plumbline/classifier.py"}  # what their own programs import


def test_what_is_in_plumbline_is_imported_by_two_stages_or_tools_or_more() -> None:
    used = {stage: imported(script(stage)) for stage in STAGES}
    used |= {path.parent.name: imported(path) for path in (PROJECT / "tools").glob("*/__main__.py")}
    for module in MODULES:
        if module.startswith("plumbline/") and module not in FOR_USERS:
            users = [name for name, modules in used.items() if module in modules]
            assert len(users) >= 2, f"{module} is imported by {users}"


class Spy:
    """Records which parameters a stage reads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read: set[str] = set()
        self.names: dict[int, str] = {}
        load, dump = params_file.load, Section.model_dump
        spy = self

        def named(section: Section, prefix: str) -> Section:
            spy.names[id(section)] = prefix
            for key in type(section).model_fields:
                value = section.__dict__[key]
                if isinstance(value, Section):
                    named(value, f"{prefix}{key}.")
            return section

        def getattribute(section: Section, key: str) -> object:
            value = object.__getattribute__(section, key)
            if key in type(section).model_fields and not isinstance(value, Section) and id(section) in spy.names:
                spy.read.add(f"{spy.names[id(section)]}{key}")
            return value

        def model_dump(section: Section, **options: object) -> dict:
            for key in type(section).model_fields:
                getattr(section, key)
                if isinstance(section.__dict__[key], Section):
                    model_dump(section.__dict__[key])
            return dump(section, **options)

        monkeypatch.setattr(params_file, "load", lambda schema: named(load(schema), ""))
        monkeypatch.setattr(Section, "__getattribute__", getattribute)
        monkeypatch.setattr(Section, "model_dump", model_dump)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_reads_exactly_the_parameters_that_dvc_yaml_names(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.chdir(tiny_copy)
    spy = Spy(monkeypatch)
    import_module(f"stages.{stage}.__main__").main()
    declared = STAGES[stage].get("params", [])
    uncovered = {key for key in spy.read if not any(key == name or key.startswith(f"{name}.") for name in declared)}
    unused = {name for name in declared if not any(key == name or key.startswith(f"{name}.") for key in spy.read)}
    assert (uncovered, unused) == (set(), set())


@pytest.mark.slow
def test_two_clones_give_the_same_bytes_for_everything_that_dvc_lock_names(tiny_project: Path, tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    run_in(tmp_path, "git", "clone", "--quiet", str(tiny_project), str(clone))
    (clone / "dvc.lock").unlink()
    run_in(clone, "dvc", "repro")
    assert yaml.safe_load((clone / "dvc.lock").read_text()) == yaml.safe_load((tiny_project / "dvc.lock").read_text())
    assert run_in(clone, "git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_an_experiment_shows_in_the_differences_and_in_the_table(tiny_copy: Path) -> None:
    run_in(tiny_copy, "dvc", "exp", "run", "--name", "surer", "--set-param", "evaluate.confidence=0.99", "report")
    metrics = json.loads(run_in(tiny_copy, "dvc", "metrics", "diff", "--json").stdout)
    assert list(metrics) == ["metrics/summary.json"]
    files = ("metrics/evaluate.json", "metrics/backprop.json")
    details = json.loads(run_in(tiny_copy, "dvc", "metrics", "diff", "--json", "--targets", *files).stdout)
    assert details["metrics/evaluate.json"]["test_accuracy_low"]["diff"] < 0
    assert "metrics/backprop.json" not in details
    parameters = json.loads(run_in(tiny_copy, "dvc", "params", "diff", "--json").stdout)
    (change,) = parameters["params.yaml"].items()
    assert (change[0], change[1]["old"], change[1]["new"]) == ("evaluate.confidence", 0.95, 0.99)
    table = list(csv.DictReader(io.StringIO(run_in(tiny_copy, "dvc", "exp", "show", "--csv").stdout)))
    (experiment,) = (row for row in table if row["Experiment"] == "surer")
    assert experiment["evaluate.confidence"] == "0.99"
    assert 0 <= float(experiment["test_low"]) <= float(experiment["test_accuracy"])


@pytest.mark.slow
def test_the_metrics_are_readable_in_100_columns(tiny_copy: Path) -> None:
    for command in (["metrics", "show"], ["metrics", "diff"]):
        lines = run_in(tiny_copy, "dvc", *command).stdout.splitlines()
        assert all(len(line) <= 100 for line in lines), lines
    assert "test_accuracy" in run_in(tiny_copy, "dvc", "metrics", "show").stdout


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
        ({"finetune.epochs": 0}, "error: params.yaml: finetune.epochs is 0: should be greater than or equal to 1"),
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


RUN_NO_NETWORK = ("params", "digits", "prepare", "plot", "report", "card")


@pytest.mark.parametrize("stage", RUN_NO_NETWORK)
def test_a_stage_that_runs_no_network_does_not_import_torch(stage: str) -> None:
    """Which takes two to seven seconds."""
    code = f"import sys, stages.{stage}.__main__; sys.exit('torch' in sys.modules)"
    run_in(PROJECT, sys.executable, "-c", code)
