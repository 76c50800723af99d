"""Which stages DVC sees changed after a change of a parameter or a module: those that depend on it, and no other."""

from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import PROJECT
from tests.support.pipeline import MODULES, STAGES, changed_in, changed_stages
from tests.support.projects import change_params, run_in

# Which stages a change of a parameter makes run again, beside `params`, which validates all of them, and `report`, which
# prints them. What these stages write decides the rest.
ALL = set(STAGES)
RERUNS = {
    "seed": {
        "backprop",
        "convolution",
        "weight_decay",
        "weights",
        "curvature",
        "finetune",
        "evaluate",
        "gallery",
        "card",
    },
    "data.root": {"prepare", "card"},
    "data.labels": {"prepare", "card"},
    "data.labels_in_root": {"prepare", "card"},
    "data.columns.label": {"prepare", "card"},
    "data.corrections": {"prepare", "card"},
    "data.near_distance": {"prepare", "card"},
    "image.resize": {"prepare", "weights", "curvature", "finetune"},
    "image.crop": {"backprop", "convolution", "weights", "curvature", "finetune"},
    "image.mean": {"weights", "curvature", "finetune"},
    "image.std": {"weights", "curvature", "finetune"},
    "digits.train_images_per_class": {"digits"},
    "digits.val_images_per_class": {"digits"},
    "backprop.trials": {"backprop"},
    "backprop.hidden": {"backprop"},
    "convolution.kernel": {"convolution"},
    "weight_decay.alpha": {"weight_decay"},
    "weights.architecture": {"backprop", "convolution", "weights", "plot", "card"},
    "weights.source": {"weights", "card"},
    "weights.pretraining.epochs": {"weights", "card"},
    "curvature.images": {"curvature"},
    "curvature.steps": {"curvature"},
    "finetune.head": {"finetune", "card"},
    "finetune.epochs": {"finetune", "card"},
    "finetune.lr": {"weight_decay", "finetune", "plot", "card"},
    "finetune.momentum": {"finetune", "card"},
    "finetune.weight_decay": {"weight_decay", "finetune", "card"},
    "evaluate.confidence": {"evaluate", "plot", "card", "export"},
    "evaluate.coverage": {"evaluate", "card"},
    "evaluate.unknown.keep": {"evaluate", "card", "export"},
    "gallery.images": {"gallery"},
    "export.calibration_images": {"export"},
}
# Which stages a change of a module in a folder that stages share makes run again.
FOLDERS = {
    "plumbline/run": ALL,
    "plumbline/params/all": {"params", "report"},
    "plumbline/params/backprop": {"params", "report", "backprop"},
    "plumbline/params/convolution": {"params", "report", "convolution"},
    "plumbline/params/curvature": {"params", "report", "curvature"},
    "plumbline/params/data": {"params", "report", "prepare", "card"},
    "plumbline/params/digits": {"params", "report", "digits"},
    "plumbline/params/evaluate": {"params", "report", "evaluate", "plot", "export", "card"},
    "plumbline/params/export": {"params", "report", "export"},
    "plumbline/params/finetune": {"params", "report", "weight_decay", "finetune", "plot", "card"},
    "plumbline/params/gallery": {"params", "report", "gallery"},
    "plumbline/params/image": {
        "params",
        "report",
        "prepare",
        "backprop",
        "convolution",
        "weights",
        "curvature",
        "finetune",
    },
    "plumbline/params/weight_decay": {"params", "report", "weight_decay"},
    "plumbline/params/weights": {"params", "report", "backprop", "convolution", "weights", "plot", "card"},
    "plumbline/audit": {"evaluate", "plot", "report", "export"},
    "plumbline/checks": {"backprop", "convolution", "weight_decay", "curvature", "evaluate", "export"},
    "plumbline/data": {"prepare", "curvature", "finetune", "evaluate", "gallery", "plot", "report", "export", "card"},
    "plumbline/images": {"prepare", "weights", "evaluate"},
    "plumbline/model": {
        "params",
        "backprop",
        "convolution",
        "weights",
        "curvature",
        "finetune",
        "evaluate",
        "gallery",
        "export",
        "card",
    },
    "plumbline/presentation": {"plot", "report", "card"},
    "plumbline/results": {"evaluate", "gallery", "plot", "report", "export", "card"},
    "plumbline/training": {"weights", "curvature", "finetune", "evaluate", "gallery", "export"},
}


def other_value(key: str) -> object:
    """Return a valid value of a parameter that is not its value."""
    value = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for part in key.split("."):
        value = value[part]
    texts = {
        "data.root": "data/digits-source",
        "data.labels": "LICENSE",
        "data.corrections": "LICENSE",
        "data.labels_in_root": "metadata.csv",
        "data.columns.label": "breed",
        "weights.architecture": "resnet50",
        "weights.source": "none",
        "finetune.head": "probe",
    }
    if key in texts:
        return texts[key]
    if isinstance(value, list):
        return [0.5, 0.5, 0.5]
    return value + 1 if isinstance(value, int) else value / 2 + 0.1


@pytest.mark.slow
def test_only_what_uses_a_changed_parameter_runs_again(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    sections = yaml.safe_load((PROJECT / "params.yaml").read_text()).keys()
    assert {key.split(".")[0] for key in RERUNS} == sections
    assert changed_stages() == set()
    path = tiny_copy / "params.yaml"
    before = path.read_text()
    with Repo() as repo:
        for name, expected in RERUNS.items():
            change_params(tiny_copy, {name: other_value(name)})
            assert changed_in(repo) == expected | {"params", "report"}, name
            path.write_text(before)


@pytest.mark.slow
def test_only_what_names_a_changed_folder_runs_again(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    shared = {Path(name).parent.as_posix() for name in MODULES if name.startswith("plumbline/")}
    assert set(FOLDERS) == shared - {"plumbline", "plumbline/params"}
    with Repo() as repo:
        for folder, expected in FOLDERS.items():
            path = tiny_copy / folder / "__init__.py"
            before = path.read_text()
            path.write_text(before + "\n# changed\n")
            assert changed_in(repo) == expected, folder
            path.write_text(before)
    for above in ("stages/__init__.py", "plumbline/__init__.py", "plumbline/classifier.py"):
        (tiny_copy / above).write_text((tiny_copy / above).read_text() + "\n# changed\n")
    assert changed_stages() == set()


@pytest.mark.slow
def test_a_new_module_makes_its_own_stage_run_again_without_an_edit_of_dvc_yaml_and_byte_code_none(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_copy)
    modules = {stage: tiny_copy / "stages" / stage / "brand_new.py" for stage in STAGES}
    with Repo() as repo:
        for stage, module in modules.items():
            module.write_text("ANSWER = 42\n")
            assert changed_in(repo) == {stage}
            module.unlink()
    for module in modules.values():
        module.write_text("ANSWER = 42\n")
    run_in(tiny_copy, "python", "-m", "compileall", "-q", "-b", "stages")  # beside the sources
    run_in(tiny_copy, "python", "-m", "compileall", "-q", "stages")  # and in __pycache__
    for stage, module in modules.items():
        module.unlink()
        assert len(list(module.parent.rglob("brand_new*.pyc"))) == 2, stage
    assert changed_stages() == set()
