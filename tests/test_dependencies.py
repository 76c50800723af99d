"""dvc.yaml names what each stage depends on: the folders of what it imports and the parameters it reads, no other."""

import ast
import sys
from functools import cache
from modulefinder import ModuleFinder
from pathlib import Path
from runpy import run_path

import pytest
from dvc.repo import Repo

from plumbline.run import params_file, paths
from plumbline.run.fields import Section
from tests.conftest import PROJECT
from tests.support.pipeline import MODULES, STAGES
from tests.support.projects import run_in

# They hold the folders that dvc.yaml names, and nothing that a stage's results follow from.
ABOVE_THE_FOLDERS = {"stages/__init__.py", "plumbline/__init__.py", "plumbline/params/__init__.py"}


def script(stage: str) -> Path:
    """Return the file that `python -m stages.<stage>` runs."""
    return PROJECT / "stages" / stage / "__main__.py"


@cache
def imported(path: Path) -> frozenset[str]:
    """Return the project's files that a script imports, however far down, itself included."""
    finder = ModuleFinder(path=[str(PROJECT)])
    finder.run_script(str(path))
    packages = {parent / "__init__.py" for parent in path.parents if parent.is_relative_to(PROJECT / "stages")}
    return files_of(finder) | {file.relative_to(PROJECT).as_posix() for file in packages}


def files_of(finder: ModuleFinder) -> frozenset[str]:
    """Return the project's files that a finder has come to."""
    files = (Path(module.__file__) for module in finder.modules.values() if module.__file__)
    return frozenset(file.relative_to(PROJECT).as_posix() for file in files)


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
    (docstring,) = ast.parse((PROJECT / "plumbline" / "params" / "__init__.py").read_text()).body
    assert isinstance(docstring.value, ast.Constant)
    changed = "import os; before = dict(os.environ); import stages; print(dict(os.environ.items() - before.items()))"
    environment = "env", "--unset=OMP_WAIT_POLICY", sys.executable, "-c", changed
    assert run_in(PROJECT, *environment).stdout == "{'OMP_WAIT_POLICY': 'passive'}\n"  # how threads wait, and no more
    assert imported(PROJECT / "plumbline" / "__init__.py") == {"plumbline/__init__.py"}
    lines = "import sys, plumbline; print(*(name for name in sys.modules if name.startswith('plumbline')))"
    assert run_in(PROJECT, sys.executable, "-c", lines).stdout.split() == ["plumbline"]


@pytest.mark.medium
def test_a_stages_folder_holds_only_what_the_stage_imports() -> None:
    for stage in STAGES:
        held = {module for module in MODULES if module.startswith(f"stages/{stage}/")}
        assert held - imported(script(stage)) == set()
    assert {path.name for path in (PROJECT / "stages").iterdir() if path.is_dir()} - {"__pycache__"} == set(STAGES)


@pytest.mark.medium
def test_no_stage_imports_another_and_plumbline_imports_no_stage() -> None:
    for stage in STAGES:
        others = {name for name in imported(script(stage)) if name.startswith("stages/")} - {"stages/__init__.py"}
        assert all(name.startswith(f"stages/{stage}/") for name in others), others
    finder = ModuleFinder(path=[str(PROJECT)])
    for module in MODULES:
        if module.startswith("plumbline/"):
            finder.import_hook(module.removesuffix("/__init__.py").removesuffix(".py").replace("/", "."))
    assert {name for name in MODULES if name.startswith("plumbline/")} <= files_of(finder)
    assert [name for name in files_of(finder) if name.startswith("stages/")] == []


def outputs(stage: str) -> set[str]:
    """Return the files and folders that dvc.yaml says a stage writes."""
    entries = [*STAGES[stage].get("outs", ()), *STAGES[stage].get("metrics", ()), *STAGES[stage].get("plots", ())]
    return {entry if isinstance(entry, str) else next(iter(entry)) for entry in entries}


def test_a_path_between_stages_stands_once_in_python_and_is_dvc_yamls() -> None:
    between = {path.as_posix() for path in vars(paths).values() if isinstance(path, Path)}
    written = set().union(*(outputs(stage) for stage in STAGES))
    read = set().union(*(STAGES[stage]["deps"] for stage in STAGES))
    assert {path for path in between if not {path, Path(path).parent.as_posix()} & written} == set()
    assert between - read == set()
    for module in {*MODULES, *(path.relative_to(PROJECT).as_posix() for path in (PROJECT / "tools").rglob("*.py"))}:
        tree = ast.parse((PROJECT / module).read_text(encoding="utf-8"))
        literals = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        assert module == "plumbline/run/paths.py" or literals & between == set()


def test_every_stage_waits_for_the_parameters_and_imports_the_schema_of_its_own_sections_alone() -> None:
    for stage in set(STAGES) - {"params"}:
        assert "data/certificates/params.txt" in STAGES[stage]["deps"]
        keys = set(STAGES[stage]["params"]) - {"seed", "finetune.deterministic"}  # which stand in plumbline/run
        sections = {key.split(".")[0] for key in keys}
        folders = {folder for folder in declared_folders(stage) if folder.startswith("plumbline/params")}
        assert folders == (
            {f"plumbline/params/{name}" for name in sections} if stage != "report" else {"plumbline/params"}
        )


FOR_USERS = {"plumbline/classifier.py"}  # what their own programs import


@pytest.mark.medium
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
        load, dump, copy = params_file.load, Section.model_dump, Section.model_copy
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

        def model_copy(section: Section, **options: object) -> Section:
            copied = copy(section, **options)
            return named(copied, spy.names[id(section)]) if id(section) in spy.names else copied

        monkeypatch.setattr(params_file, "load", lambda schema: named(load(schema), ""))
        monkeypatch.setattr(Section, "__getattribute__", getattribute)
        monkeypatch.setattr(Section, "model_dump", model_dump)
        monkeypatch.setattr(Section, "model_copy", model_copy)


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
def test_in_another_folder_a_stage_reads_the_parameters_that_dvc_yaml_names_and_writes_the_same_bytes(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.chdir(tiny_copy)
    spy = Spy(monkeypatch)
    run_path(f"stages/{stage}/__main__.py")["main"]()
    declared = STAGES[stage].get("params", [])
    if "params.yaml" in STAGES[stage]["deps"]:
        declared = list(spy.read)  # the whole file
    uncovered = {key for key in spy.read if not any(key == name or key.startswith(f"{name}.") for name in declared)}
    unused = {name for name in declared if not any(key == name or key.startswith(f"{name}.") for key in spy.read)}
    assert (uncovered, unused) == (set(), set())
    with Repo() as repo:
        assert repo.status([stage]) == {}


RUN_NO_NETWORK = ("params", "digits", "prepare", "plot", "report", "card")


@pytest.mark.medium
@pytest.mark.parametrize("stage", RUN_NO_NETWORK)
def test_a_stage_that_runs_no_network_does_not_import_torch(stage: str) -> None:
    """Which takes two to seven seconds."""
    code = f"import sys, stages.{stage}.__main__; sys.exit('torch' in sys.modules)"
    run_in(PROJECT, sys.executable, "-c", code)
