"""The command on a repository: what it prints, and what it refuses."""

import json
from pathlib import Path

import pandas as pd
import pytest

from plumbline.results.measures_file import MEASURES, Measure, write_measures
from plumbline.results.predictions_file import PREDICTIONS
from tests.conftest import PROJECT
from tests.support.projects import change_params, commit_all, made_once, run_in
from tests.support.unevaluated import make_repository
from tools.compare.revisions import COLUMNS, read_revision
from tools.stale_results import stale_results


def write_predictions(
    folder: Path, wrong: set[int], images: int = 40, classes: tuple[str, str] = ("ant", "bee"), sha256: str = "00"
) -> None:
    """Write predictions on images of two classes, where those with these numbers are taken for the other class."""
    rows = []
    for i in range(images):
        actual, other = classes[i % 2], classes[1 - i % 2]
        right = i not in wrong
        path = f"test/{actual}/{i:02}.png"
        loss = 0.2 if right else 1.7
        rows.append(["test", path, actual, actual if right else other, 0.8, int(right), loss, loss / 4, sha256])
    (folder / "plots").mkdir(exist_ok=True)
    auroc = Measure(1 - len(wrong) / images, images, 0.5, 1.0)
    write_measures({("test", name): auroc for name in ("accuracy", "calibrated_loss", "auroc")}, folder / MEASURES)
    pd.DataFrame(rows, columns=COLUMNS).to_csv(folder / PREDICTIONS, index=False)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two tagged commits: `worse` has ten images wrong, `better` one of them."""
    folder = tmp_path / "repository"
    folder.mkdir()
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    run_in(folder, "dvc", "init", "--quiet")
    (folder / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    (folder / "dvc.yaml").write_text("params:\n- params.yaml\n")
    for name, wrong, lr in (("worse", set(range(10)), 0.001), ("better", {3}, 0.01)):
        write_predictions(folder, wrong)
        change_params(folder, {"finetune.lr": lr})
        commit_all(folder, name)
        run_in(folder, "git", "tag", name)
    return folder


def compare(folder: Path, *arguments: str, check: bool = True) -> tuple[str, str, int]:
    done = run_in(folder, "env", f"PYTHONPATH={PROJECT}", "python", "-m", "tools.compare", *arguments, check=check)
    return done.stdout, done.stderr, done.returncode


@pytest.mark.slow
def test_a_real_gain_is_told_with_its_images_and_its_parameter(repository: Path) -> None:
    found = json.loads(compare(repository, "worse", "better", "--json")[0])
    assert found["metrics"]["accuracy"]["difference"] == pytest.approx(9 / 40)
    assert found["metrics"]["accuracy"]["low"] > 0
    assert found["mcnemar_p"] == pytest.approx(2 / 2**9)
    assert (found["right_in_a_alone"], len(found["right_in_b_alone"])) == ([], 9)
    assert found["params"] == {"finetune.lr": [0.001, 0.01]}
    (unpaired,) = found["unpaired"].items()
    assert (unpaired[0], [own["value"] for own in unpaired[1]]) == ("auroc", [0.75, 0.975])
    text = compare(repository, "worse", "better")[0]
    assert "0.7500 [0.5000, 1.0000] 0.9750 [0.5000, 1.0000]" in text
    for part in ("test, 40 images", "more than luck", "test/ant/00.png", "finetune.lr", "about 34 images"):
        assert part in text, text
    assert compare(repository, "worse", "better", "--markdown", "--metric", "accuracy")[0].count("|") > 10


@pytest.mark.medium
def test_head_is_compared_with_the_workspace_by_default(repository: Path) -> None:
    write_predictions(repository, {3, 4})
    (repository / MEASURES).unlink()  # as in a revision of an older version
    found = json.loads(compare(repository, "--json")[0])
    assert found["revisions"] == ["HEAD", "workspace"]
    assert found["right_in_a_alone"] == ["test/ant/04.png"]
    assert found["mcnemar_p"] == 1
    assert found["unpaired"]["auroc"][1] is None
    assert "this may be luck" in compare(repository)[0]


@pytest.mark.slow
def test_several_revisions_have_corrected_pairs(repository: Path) -> None:
    found = json.loads(compare(repository, "worse", "better", "workspace", "--json")[0])
    own = found["metrics"]["accuracy"]
    assert own["values"] == [0.75, 0.975, 0.975]
    assert "mean" not in own and "deviation" not in own  # they differ by more than the seed
    assert [pair["holm_p"] for pair in found["pairs"]] == pytest.approx([3 / 2**8, 3 / 2**8, 1])
    text = compare(repository, "worse", "better", "workspace")[0]
    assert "2 of 3 pairs differ by more than luck" in text
    assert "Each pair is two models, not two recipes" in text


@pytest.mark.medium
def test_the_corrections_of_a_revision_are_read_with_it(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repository)
    audit = repository / "data" / "audit"
    audit.mkdir(parents=True)
    (audit / "corrections.csv").write_text("path,sha256,status\ntest/bee/39.png,0012,applied\nb.png,0034,stale\n")
    assert read_revision("workspace").corrected == frozenset()  # its parameters name none
    change_params(repository, {"data.corrections": "corrections.csv"})
    assert read_revision("workspace").corrected == {"0012"}


@pytest.mark.slow
def test_what_cannot_be_compared_is_refused_in_one_line(repository: Path) -> None:
    def error(*arguments: str) -> str:
        _, text, status = compare(repository, *arguments, check=False)
        assert status == 1
        assert "Traceback" not in text
        return text.splitlines()[-1]

    assert error("nowhere", "better").startswith("error: nowhere is no revision")
    assert error("worse", "better", "--split", "val") == "error: worse has no images in val: it has test"
    write_predictions(repository, {3}, images=38)
    assert "2 images of HEAD's, test/ant/38.png the first, are not among workspace's" in error()
    write_predictions(repository, {3}, sha256="01")
    assert "40 images, test/ant/00.png the first, are other files in workspace, under the same names" in error()
    write_predictions(repository, {3}, classes=("ant", "wasp"))
    assert "cannot be compared" in error()
    (repository / PREDICTIONS).unlink()
    assert error().startswith(f"error: workspace has no {PREDICTIONS} within reach")
    (repository / PREDICTIONS).write_text("split,path\n")
    assert "has no column actual: an older version wrote it" in error()


@pytest.mark.slow
def test_the_results_of_the_commit_before_are_not_taken_for_those_of_an_experiment_that_was_not_evaluated(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = made_once("unevaluated", tmp_path_factory, make_repository)
    whole = json.loads(compare(folder, "HEAD", "whole", "--json")[0])
    assert whole["metrics"]["accuracy"]["difference"] == pytest.approx(3 / 24)
    whose = {"model": "another model", "data": "other data", "parameters": "other parameters (finetune.lr)"}
    for name, words in {**whose, "workspace": whose["parameters"]}.items():
        assert compare(folder, "HEAD", name, check=False) == (
            "",
            f"error: {name} has not been evaluated, its results are those of {words}: run `dvc repro evaluate` there, "
            "or the experiment again as `dvc exp run ... evaluate`\n",
            1,
        )


@pytest.mark.parametrize(
    ("lock", "of"),
    [
        (None, ""),
        ("", ""),
        ("schema: '2.0'\nstages: {evaluate: {cmd: python evaluate.py}}", ""),  # an older pipeline
        ("stages: {digits: {cmd: python digits.py}}", ""),
        ("stages: {prepare: {outs: [{path: data/prepared, md5: ab}]}, evaluate: {deps: []}}", ""),
        ("stages: {prepare: {outs: [{path: data/prepared, md5: ab}]}}", "an earlier run"),
        ("stages: {evaluate: {params: {params.yaml: {seed: 0, evaluate: {confidence: 0.9}}}}}", "other parameters"),
        ("stages: {evaluate: {params: {params.yaml: {seed: 0, evaluate.gone: 1}}}}", ""),
    ],
    ids=["none", "empty", "no hashes", "another stage", "no such input", "no evaluate", "parameters", "an old key"],
)
def test_what_a_lock_does_not_have_is_not_judged(lock: str | None, of: str) -> None:
    assert stale_results(lock, {"seed": 0, "evaluate.confidence": 0.95}).split(" (")[0] == of
