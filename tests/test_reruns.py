"""What a change makes run again: the stages that depend on it, and then as far as the results change."""

import itertools
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo

from tests.conftest import PROJECT, TINY, change_params, run_in
from tests.test_pipeline import MODULES, STAGES

# Which stages a change of a parameter, or of a module, makes run again. What they write decides the rest.
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
    "finetune.epochs": {"finetune", "card"},
    "finetune.lr": {"weight_decay", "finetune", "plot", "card"},
    "finetune.momentum": {"finetune", "card"},
    "finetune.weight_decay": {"weight_decay", "finetune", "card"},
    "evaluate.confidence": {"evaluate", "plot", "card", "export"},
    "gallery.images": {"gallery"},
    "export.calibration_images": {"export"},
    "plumbline/__init__.py": ALL,
    "plumbline/errors.py": ALL,
    "plumbline/outputs.py": ALL,
    "plumbline/params/__init__.py": ALL,
    "plumbline/params/data.py": ALL,
    "plumbline/params/evaluation.py": ALL,
    "plumbline/params/exporting.py": ALL,
    "plumbline/params/flat.py": {"report", "card"},
    "plumbline/params/fields.py": ALL,
    "plumbline/params/mistakes.py": ALL,
    "plumbline/params/problems.py": ALL,
    "plumbline/params/training.py": ALL,
    "plumbline/params/figures.py": ALL,
    "plumbline/checks.py": {"backprop", "convolution", "weight_decay", "curvature", "finetune", "export"},
    "plumbline/derivations.py": {"backprop", "convolution", "weight_decay"},
    "plumbline/archives.py": {"prepare"},
    "plumbline/bootstrap.py": {"evaluate"},
    "plumbline/classifier.py": set(),  # for users' own programs
    "plumbline/class_scores.py": {"evaluate"},
    "plumbline/class_folders.py": {"prepare", "weights"},
    "plumbline/images.py": {"prepare", "weights"},
    "plumbline/network_layers.py": {"backprop", "convolution"},
    "plumbline/networks.py": {
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
    "plumbline/prepared.py": {"curvature", "finetune", "evaluate", "gallery", "plot", "report", "export", "card"},
    "plumbline/hashes.py": {"prepare", "weights", "finetune", "report", "export", "card"},
    "plumbline/same_data.py": {"evaluate", "export"},
    "plumbline/stability.py": {"weight_decay", "finetune"},
    "plumbline/training.py": {"weights", "curvature", "finetune"},
    "plumbline/arithmetic.py": {"weights", "curvature", "finetune", "evaluate", "gallery", "export"},
    "plumbline/batches.py": {"weights", "curvature", "finetune", "evaluate", "gallery", "export"},
    "plumbline/inference.py": {"finetune", "evaluate", "export"},
    "plumbline/model_file.py": {"weights", "curvature", "finetune", "evaluate", "gallery", "export", "card"},
    "plumbline/timing.py": {"prepare", "weights", "curvature", "finetune", "evaluate", "gallery", "export"},
    "plumbline/predictions_file.py": {"evaluate", "gallery", "plot", "report"},
    "stages/__init__.py": ALL,
    "stages/digits.py": {"digits"},
    "stages/prepare/__init__.py": {"prepare"},
    "stages/prepare/__main__.py": {"prepare"},
    "stages/prepare/root.py": {"prepare"},
    "stages/prepare/arrays.py": {"prepare"},
    "stages/prepare/audit.py": {"prepare"},
    "stages/prepare/dask_backend.py": {"prepare"},
    "stages/prepare/decoder_version.py": {"prepare"},
    "stages/prepare/decoding.py": {"prepare"},
    "stages/prepare/duplicates.py": {"prepare"},
    "stages/prepare/elsewhere.py": {"prepare"},
    "stages/prepare/engines.py": {"prepare"},
    "stages/prepare/layout.py": {"prepare"},
    "stages/prepare/metrics.py": {"prepare"},
    "stages/prepare/oddities.py": {"prepare"},
    "stages/prepare/pixel_cache.py": {"prepare"},
    "stages/prepare/reading.py": {"prepare"},
    "stages/prepare/splitting.py": {"prepare"},
    "stages/prepare/tables.py": {"prepare"},
    "stages/backprop/__init__.py": {"backprop"},
    "stages/backprop/__main__.py": {"backprop"},
    "stages/backprop/basic_block.py": {"backprop"},
    "stages/backprop/cost.py": {"backprop"},
    "stages/backprop/derivation.py": {"backprop"},
    "stages/backprop/graph.py": {"backprop"},
    "stages/backprop/hidden_layer.py": {"backprop"},
    "stages/backprop/layer_checks.py": {"backprop"},
    "stages/backprop/layers.py": {"backprop"},
    "stages/backprop/measured.py": {"backprop"},
    "stages/backprop/network_cost.py": {"backprop"},
    "stages/backprop/numeric.py": {"backprop"},
    "stages/backprop/printed.py": {"backprop"},
    "stages/backprop/symbolic.py": {"backprop"},
    "stages/curvature/__init__.py": {"curvature"},
    "stages/curvature/__main__.py": {"curvature"},
    "stages/curvature/hessian.py": {"curvature"},
    "stages/curvature/lanczos.py": {"curvature"},
    "stages/convolution/__init__.py": {"convolution"},
    "stages/convolution/__main__.py": {"convolution"},
    "stages/convolution/arithmetic.py": {"convolution"},
    "stages/convolution/conventions.py": {"convolution"},
    "stages/convolution/derivation.py": {"convolution"},
    "stages/convolution/formula.py": {"convolution"},
    "stages/convolution/layer_checks.py": {"convolution"},
    "stages/convolution/network_table.py": {"convolution"},
    "stages/convolution/published.py": {"convolution"},
    "stages/convolution/receptive_field.py": {"convolution"},
    "stages/weight_decay/__init__.py": {"weight_decay"},
    "stages/weight_decay/__main__.py": {"weight_decay"},
    "stages/weight_decay/bounds.py": {"weight_decay"},
    "stages/weight_decay/decoupling.py": {"weight_decay"},
    "stages/weight_decay/derivation.py": {"weight_decay"},
    "stages/weight_decay/run_at_hand.py": {"weight_decay"},
    "stages/weight_decay/updates.py": {"weight_decay"},
    "stages/weights/__init__.py": {"weights"},
    "stages/weights/__main__.py": {"weights"},
    "stages/weights/download.py": {"weights"},
    "stages/weights/pretraining.py": {"weights"},
    "stages/weights/weight_file.py": {"weights"},
    "stages/finetune/__init__.py": {"finetune"},
    "stages/finetune/__main__.py": {"finetune"},
    "stages/finetune/augmentation.py": {"finetune"},
    "stages/finetune/checkpoints.py": {"finetune"},
    "stages/finetune/divergence.py": {"finetune"},
    "stages/finetune/engine.py": {"finetune"},
    "stages/finetune/fingerprint.py": {"finetune"},
    "stages/finetune/freezing.py": {"finetune"},
    "stages/finetune/inputs.py": {"finetune"},
    "stages/finetune/interruption.py": {"finetune"},
    "stages/finetune/launch.py": {"finetune"},
    "stages/finetune/metrics.py": {"finetune"},
    "stages/finetune/optimisers.py": {"finetune"},
    "stages/finetune/processes.py": {"finetune"},
    "stages/finetune/sampling.py": {"finetune"},
    "stages/finetune/schedules.py": {"finetune"},
    "stages/finetune/selection.py": {"finetune"},
    "stages/finetune/start.py": {"finetune"},
    "stages/finetune/state.py": {"finetune"},
    "stages/finetune/synchronised.py": {"finetune"},
    "stages/finetune/task.py": {"finetune"},
    "stages/finetune/temperature.py": {"finetune"},
    "stages/finetune/trained_part.py": {"finetune"},
    "stages/finetune/update.py": {"finetune"},
    "stages/finetune/find_lr.py": set(),  # a tool, which no stage runs
    "stages/evaluate/__init__.py": {"evaluate"},
    "stages/evaluate/__main__.py": {"evaluate"},
    "stages/evaluate/baselines.py": {"evaluate"},
    "stages/evaluate/calibration.py": {"evaluate"},
    "stages/evaluate/choice_of_epoch.py": {"evaluate"},
    "stages/evaluate/curves.py": {"evaluate"},
    "stages/evaluate/intervals.py": {"evaluate"},
    "stages/evaluate/label_doubts.py": {"evaluate"},
    "stages/evaluate/metrics.py": {"evaluate"},
    "stages/evaluate/predictions.py": {"evaluate"},
    "stages/evaluate/ranking.py": {"evaluate"},
    "stages/evaluate/scores.py": {"evaluate"},
    "stages/evaluate/summary.py": {"evaluate"},
    "stages/evaluate/tables.py": {"evaluate"},
    "stages/evaluate/threshold.py": {"evaluate"},
    "stages/plot/__init__.py": {"plot"},
    "stages/plot/__main__.py": {"plot"},
    "stages/plot/computational_graph.py": {"plot"},
    "stages/plot/confusion.py": {"plot"},
    "stages/plot/curves.py": {"plot"},
    "stages/plot/data_audit.py": {"plot"},
    "stages/plot/style.py": {"plot"},
    "stages/plot/baselines.py": {"plot"},
    "stages/plot/cost_ratio.py": {"plot"},
    "stages/plot/gallery.py": {"plot"},
    "stages/plot/network_layers.py": {"plot"},
    "stages/plot/reliability.py": {"plot"},
    "stages/plot/step_size.py": {"plot"},
    "stages/plot/trade_offs.py": {"plot"},
    "stages/plot/weight_decay.py": {"plot"},
    "stages/gallery/__init__.py": {"gallery"},
    "stages/gallery/__main__.py": {"gallery"},
    "stages/gallery/choice.py": {"gallery"},
    "stages/gallery/overlay.py": {"gallery"},
    "stages/gallery/saliency.py": {"gallery"},
    "stages/report/__init__.py": {"report"},
    "stages/report/__main__.py": {"report"},
    "stages/report/figures.py": {"report"},
    "stages/report/last_commit.py": {"report"},
    "stages/report/math_font.py": {"report"},
    "stages/report/mathml.py": {"report"},
    "stages/report/mistakes.py": {"report"},
    "stages/report/numbers.py": {"report"},
    "stages/report/problems.py": {"report"},
    "stages/report/provenance.py": {"report"},
    "stages/report/results.py": {"report"},
    "stages/report/run_at_hand.py": {"report"},
    "stages/report/summary.py": {"report"},
    "stages/report/tables.py": {"report"},
    "stages/export/__init__.py": {"export"},
    "stages/export/__main__.py": {"export"},
    "stages/export/agreement.py": {"export"},
    "stages/export/from_pixels.py": {"export"},
    "stages/export/int8.py": {"export"},
    "stages/export/onnx_file.py": {"export"},
    "stages/export/speed.py": {"export"},
    "stages/export/torch_file.py": {"export"},
    "stages/card/__init__.py": {"card"},
    "stages/card/__main__.py": {"card"},
    "stages/card/facts.py": {"card"},
    "stages/card/header.py": {"card"},
}


def other_value(key: str) -> object:
    """Return a valid value of a parameter that is not its value."""
    value = yaml.safe_load((PROJECT / "params.yaml").read_text())
    for part in key.split("."):
        value = value[part]
    texts = {"data.root": "data/digits-source", "weights.architecture": "resnet50", "weights.source": "none"}
    if key in texts:
        return texts[key]
    if isinstance(value, list):
        return [0.5, 0.5, 0.5]
    return value + 1 if isinstance(value, int) else value / 2 + 0.1


def changed_stages() -> set[str]:
    """Return the stages of the current directory whose own dependencies or parameters differ from dvc.lock."""
    with Repo() as repo:
        status = repo.status()
    return {stage for stage, entries in status.items() if any("changed deps" in entry for entry in entries)}


@pytest.mark.slow
def test_only_what_changed_runs_again(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    sections = yaml.safe_load((PROJECT / "params.yaml").read_text()).keys()
    assert {module for module in RERUNS if module.endswith(".py")} == set(MODULES)
    assert {key.split(".")[0] for key in RERUNS if not key.endswith(".py")} == sections
    assert changed_stages() == set()
    for name, expected in RERUNS.items():
        if is_a_stages_own(name):  # changed below
            continue
        path = tiny_copy / (name if name.endswith(".py") else "params.yaml")
        before = path.read_text()
        if name.endswith(".py"):
            path.write_text(before + "\n# changed\n")
        else:
            change_params(tiny_copy, {name: other_value(name)})
        expected = expected if name.endswith(".py") else expected | {"report"}  # which prints all parameters
        assert changed_stages() == expected, name
        path.write_text(before)
    for names in rounds():
        before = {name: (tiny_copy / name).read_text() for name in names}
        for name in names:
            assert {stage for stage in STAGES if name in STAGES[stage]["deps"]} == RERUNS[name], name
            (tiny_copy / name).write_text(before[name] + "\n# changed\n")
        assert changed_stages() == set().union(*(RERUNS[name] for name in names)), names
        for name in names:
            (tiny_copy / name).write_text(before[name])


def is_a_stages_own(name: str) -> bool:
    """Say whether a module lies in a stage's folder, so that no other stage may depend on it."""
    return name.startswith("stages/") and name.count("/") == 2


def rounds() -> list[list[str]]:
    """Return the stages' own modules, one of each stage in a round: what one lacks, no other can make up for."""
    folders: dict[str, list[str]] = {}
    for name in filter(is_a_stages_own, RERUNS):
        folders.setdefault(name.split("/")[1], []).append(name)
    return [[name for name in names if name] for names in itertools.zip_longest(*folders.values())]


def run_stages(project: Path, *options: str) -> set[str]:
    """Reproduce a project and return the stages that ran."""
    output = run_in(project, "dvc", "repro", *options).stdout
    return {line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")}


@pytest.mark.slow
def test_a_second_run_does_nothing_and_a_change_goes_as_far_as_the_results_change(tiny_copy: Path) -> None:
    assert run_stages(tiny_copy) == set()
    # Other intervals, the same predictions: no image to look into anew.
    change_params(tiny_copy, {"evaluate.confidence": 0.9})
    assert run_stages(tiny_copy) == {"evaluate", "plot", "report", "export", "card"}
    # The same proofs, so nothing to train anew.
    change_params(tiny_copy, {"weight_decay.steps": TINY["weight_decay.steps"] - 1, "backprop.trials": 2})
    assert "weights" not in run_stages(tiny_copy)
    change_params(tiny_copy, {"finetune.epochs": 1})
    assert run_stages(tiny_copy) == {"finetune", "evaluate", "gallery", "plot", "report", "export", "card"}
