"""What a change makes run again: the stages that depend on it, and then as far as the results change."""

import shutil
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import PROJECT, TINY, change_params, run_in
from tests.support.pipeline import MODULES, STAGES

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


def changed_stages() -> set[str]:
    """Return the stages of the current directory whose own dependencies or parameters differ from dvc.lock."""
    with Repo() as repo:
        return changed_in(repo)


def changed_in(repo: Repo) -> set[str]:
    """Return the same of an open repository, of which dvc.yaml and dvc.lock are read once: that takes longest."""
    status = repo.status()
    return {stage for stage, entries in status.items() if any("changed deps" in entry for entry in entries)}


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


@pytest.mark.slow
def test_a_stage_runs_with_a_new_module_as_its_folder_holds_it(tiny_copy: Path) -> None:
    (tiny_copy / "stages" / "digits" / "brand_new.py").write_text("ANSWER = 42\n")
    main = tiny_copy / "stages" / "digits" / "__main__.py"
    main.write_text(main.read_text().replace("def main() -> None:\n", "def main() -> None:\n    print(ANSWER)\n"))
    main.write_text(
        main.read_text().replace("from pathlib", "from stages.digits.brand_new import ANSWER\nfrom pathlib")
    )
    done = run_in(tiny_copy, "dvc", "repro")
    assert "\n42\n" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("Running")] == ["Running stage 'digits':"]
    assert run_stages(tiny_copy) == set()


def run_stages(project: Path, *options: str) -> set[str]:
    """Reproduce a project and return the stages that ran."""
    output = run_in(project, "dvc", "repro", *options).stdout
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


PROOFS = ("backprop", "convolution", "weight_decay", "curvature")
OTHER_PROOFS = {
    "backprop.samples": 7,
    "backprop.trials": 3,
    "convolution.height": 20,
    "curvature.steps": 3,
    "weight_decay.steps": 4,
}


@pytest.mark.slow
def test_a_second_run_does_nothing_and_a_change_goes_as_far_as_the_results_change(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_copy)
    assert run_stages(tiny_copy) == set()
    # The same proofs, by other sizes: nothing to train anew.
    change_params(tiny_copy, OTHER_PROOFS)
    assert all(TINY.get(key) != value for key, value in OTHER_PROOFS.items())
    assert run_stages(tiny_copy, *PROOFS) == {"params", *PROOFS}
    assert changed_stages() == {"evaluate", "plot", "report"}
    # A new parameter of export, and other intervals of the same predictions: no image to look into anew either.
    schema = tiny_copy / "plumbline" / "params" / "export" / "__init__.py"
    schema.write_text(schema.read_text() + "    novelty: Count\n")
    change_params(tiny_copy, {"export.novelty": 1, "evaluate.confidence": 0.9})
    assert run_stages(tiny_copy, "evaluate") == {"params", "evaluate"}
    assert changed_stages() == {"plot", "report", "export", "card"}
    change_params(tiny_copy, {"finetune.epochs": 1})
    assert run_stages(tiny_copy, "finetune") == {"params", "finetune"}
    assert changed_stages() == {"evaluate", "gallery", "plot", "report", "export", "card"}


@pytest.mark.slow
def test_a_check_that_fails_stops_the_training(tiny_copy: Path) -> None:
    path = tiny_copy / "stages" / "weight_decay" / "updates.py"
    path.write_text(path.read_text().replace("return 1 - 2 * alpha * lambda_", "return 1 - alpha * lambda_"))
    change_params(tiny_copy, {"finetune.epochs": 1})
    done = run_in(tiny_copy, "dvc", "repro", "finetune", check=False)
    assert done.returncode != 0
    assert "error: check failed: " in done.stderr
    assert "Running stage 'finetune'" not in done.stdout
    assert not (tiny_copy / "data" / "certificates" / "weight_decay.txt").exists()
    done = run_in(tiny_copy, "python", "-m", "stages.finetune", check=False)  # nor by hand
    assert "error: there is no data/certificates/weight_decay.txt" in done.stderr


@pytest.mark.slow
def test_a_table_of_the_same_labels_trains_nothing_and_a_changed_label_does(tiny_copy: Path) -> None:
    root, table = tiny_copy / "data" / "digits", tiny_copy / "labels.csv"
    paths = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.png"))
    rows = [f"{path},{path.split('/')[1]},{path.split('/')[0]}" for path in paths]
    table.write_text("\n".join(["path,label,split", *rows]))
    change_params(tiny_copy, {"data.labels": "labels.csv"})
    assert run_stages(tiny_copy) == {"params", "prepare", "report", "card"}
    number = next(i for i, path in enumerate(paths) if path.startswith("train/3/"))
    rows[number] = f"{paths[number]},8,train"
    table.write_text("\n".join(["path,label,split", *rows]))  # as many bytes as before
    assert run_stages(tiny_copy, "finetune") == {"prepare", "finetune"}
    assert run_stages(tiny_copy, "finetune") == set()


@pytest.mark.slow
def test_what_is_not_trained_on_trains_nothing(tiny_copy: Path) -> None:
    shutil.copytree(tiny_copy / "data" / "digits", tiny_copy / "images")
    change_params(tiny_copy, {"data.root": "images"})
    assert run_stages(tiny_copy) == {"params", "prepare", "report", "card"}  # the same images
    # A limit that excludes nothing: the same audit.
    change_params(tiny_copy, {"data.max_pixels": 1_000_000})
    assert run_stages(tiny_copy) == {"params", "prepare", "report", "card"}
    # What cannot be used: another audit.
    (tiny_copy / "images" / "train" / "3" / "broken.png").write_bytes(b"broken")
    (tiny_copy / "images" / "notes.txt").write_text("where they were found")
    assert run_stages(tiny_copy) == {"prepare", "plot", "report", "card"}
    quarantine = (tiny_copy / "data" / "audit" / "quarantine.csv").read_text()
    assert "train/3/broken.png,not an image" in quarantine
    assert run_stages(tiny_copy) == set()
