"""What `dvc repro` runs again after a change: as far as the results change."""

import shutil
from pathlib import Path

import pytest

from tests.support.pipeline import changed_stages
from tests.support.projects import TINY, change_params, run_in


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
    "curvature.draws": 3,
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
