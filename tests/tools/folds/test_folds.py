"""Folds are pooled into one row an image, two recipes are compared over them, and what is no whole is refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.stats import t, ttest_1samp
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from benchmarks import folds as simulation
from plumbline.results.predictions_file import COLUMNS, PREDICTIONS
from plumbline.run.errors import UserError
from tests.conftest import PROJECT
from tests.support.projects import change_params, commit_all, run_in
from tools.folds import __main__ as tool
from tools.folds import results
from tools.folds.pooling import pool, read_fold
from tools.folds.statistics import (
    accuracy_difference_over_folds,
    accuracy_over_folds,
    error_of_mean,
    half_width,
    p_over_folds,
)

IMAGES, FOLDS = 60, 3


def predictions(fold: int, right: np.ndarray, images: int = IMAGES) -> pd.DataFrame:
    """Return what one fold's run predicts: image i is test where i % FOLDS is the fold, and val where it is the next."""
    rows = []
    for i in range(images):
        split = {fold: "test", (fold + 1) % FOLDS: "val"}.get(i % FOLDS, "train")
        actual, other = ("ant", "bee")[i // FOLDS % 2], ("bee", "ant")[i // FOLDS % 2]
        known = split == "train" or right[i]
        loss = 0.2 if known else 1.7
        rows.append(
            [split, f"{i:02}.png", actual, actual if known else other, 0.8, int(known), loss, loss / 4, f"{i:04}", i]
        )
    return pd.DataFrame(rows, columns=[*COLUMNS, "cluster"]).sort_values("split", kind="stable")


def write_fold(folder: Path, fold: int | None, right: np.ndarray, **params: object) -> Path:
    """Write a workspace in which one fold has run."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    predictions(fold or 0, right).to_csv(folder / PREDICTIONS, index=False)
    values = yaml.safe_load((PROJECT / "params.yaml").read_text())
    values["data"] |= {"fold": fold, "folds": FOLDS}
    (folder / "params.yaml").write_text(yaml.safe_dump(values))
    change_params(folder, {key.replace("__", "."): value for key, value in params.items()})
    return folder


@pytest.fixture
def workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[np.ndarray, np.ndarray]:
    """Six workspaces: a0 to a2, with 14 images wrong, and b0 to b2, with one."""
    monkeypatch.chdir(tmp_path)
    numbers = np.arange(IMAGES)
    a, b = (numbers % 5 != 0) & ~np.isin(numbers, [1, 2]), numbers != 31
    for fold in range(FOLDS):
        write_fold(Path(f"a{fold}"), fold, a)
        write_fold(Path(f"b{fold}"), fold, b, finetune__lr=0.01)
    return a, b


def folds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    monkeypatch.setattr(sys, "argv", ["tools.folds", *arguments])
    monkeypatch.setattr(results, "RESAMPLES", 200)
    tool.main()
    return capsys.readouterr().out


def test_one_recipe_is_measured_on_all_images_as_scikit_learn_does(
    workspaces: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = json.loads(folds(monkeypatch, capsys, "a2", "a0", "a1", "--json"))
    labels = np.arange(IMAGES) // FOLDS % 2
    predicted = np.where(workspaces[0], labels, 1 - labels)
    (recipe,) = found["recipes"]
    assert (recipe["revisions"], found["images"], found["clusters"]) == (["a0", "a1", "a2"], IMAGES, None)
    values = {name: own["value"] for name, own in recipe["metrics"].items()}
    assert values == pytest.approx(
        {
            "accuracy": accuracy_score(labels, predicted),
            "balanced_accuracy": balanced_accuracy_score(labels, predicted),
            "macro_f1": f1_score(labels, predicted, average="macro"),
            "loss": (46 * 0.2 + 14 * 1.7) / 60,
            "brier": (46 * 0.2 + 14 * 1.7) / 240,
        }
    )
    for own in recipe["metrics"].values():
        assert own["low"] < own["value"] < own["high"]
        assert len(own["of_folds"]) == FOLDS
    text = folds(monkeypatch, capsys, "a0", "a1", "a2")
    assert "3 folds, 60 images, each judged once by a model of other images" in text
    assert "Nadeau and Bengio's (2003)" in text
    assert "too narrow" not in text
    assert folds(monkeypatch, capsys, "a0", "a1", "a2", "--markdown").count("|") > 20


def test_no_interval_of_folds_that_are_alike_by_chance_is_empty(workspaces: tuple[np.ndarray, np.ndarray]) -> None:
    same = [write_fold(Path(f"c{fold}"), fold, np.arange(IMAGES) % 5 != 0) for fold in range(FOLDS)]
    (recipe,) = results.results_of([pool([read_fold(str(folder)) for folder in same])], 0.95)["recipes"]
    assert np.ptp(recipe["metrics"]["balanced_accuracy"]["of_folds"]) == pytest.approx(0)
    for name in ("balanced_accuracy", "macro_f1"):  # the deviation of 60 images, of which 0.8 are right
        own = recipe["metrics"][name]
        assert (own["high"] - own["low"]) / 2 == pytest.approx(1.96 * (0.8 * 0.2 / IMAGES) ** 0.5, rel=0.15)


def test_two_recipes_are_paired_over_the_folds(
    workspaces: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a0", "b0", "a1", "b1", "a2", "b2"]
    found = json.loads(folds(monkeypatch, capsys, *names, "--json"))
    own = found["differences"]["accuracy"]
    assert own["difference"] == pytest.approx((14 - 1) / IMAGES)
    assert 0 < own["low"] < own["difference"] < own["high"]
    assert own["p"] < 0.05
    assert found["params"] == {"finetune.lr": [0.001, 0.01]}
    text = folds(monkeypatch, capsys, *names)
    assert "A is a0, a1, a2; B is b0, b1, b2" in text
    assert "more than luck" in text
    assert "Few answers are wrong, 1: the intervals of all but the accuracy may be too narrow" in text


@pytest.mark.medium
def test_experiments_and_tags_are_read_from_git(
    workspaces: tuple[np.ndarray, np.ndarray],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    run_in(repository, "git", "init", "--quiet", "--initial-branch=main")
    run_in(repository, "dvc", "init", "--quiet")
    (repository / "dvc.yaml").write_text("params:\n- params.yaml\n")
    for fold in range(FOLDS):
        write_fold(repository, fold, workspaces[0])
        commit_all(repository, f"fold {fold}")
        run_in(repository, "git", "tag", f"f{fold}")
    expected = json.loads(folds(monkeypatch, capsys, "a0", "a1", "a2", "--json"))["recipes"][0]["metrics"]
    monkeypatch.chdir(repository)
    found = json.loads(folds(monkeypatch, capsys, "f0", "f1", "f2", "--json"))["recipes"][0]
    assert (found["revisions"], found["metrics"]) == (["f0", "f1", "f2"], expected)


def test_a_workspace_that_was_not_evaluated_is_refused(
    workspaces: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lock = "stages: {prepare: {outs: [{path: data/prepared, md5: %s}]}, evaluate: {deps: [{path: data/prepared, md5: ab}]}}"
    Path("a1/dvc.lock").write_text(lock % "ab")
    folds(monkeypatch, capsys, "a0", "a1", "a2")
    Path("a1/dvc.lock").write_text(lock % "cd")
    with pytest.raises(UserError, match="^a1 has not been evaluated, its results are those of other data: run"):
        folds(monkeypatch, capsys, "a0", "a1", "a2")


def test_clusters_of_two_folds_with_one_number_are_two(workspaces: tuple[np.ndarray, np.ndarray]) -> None:
    for fold in range(FOLDS):
        table = predictions(fold, workspaces[0]).assign(cluster=lambda rows: np.arange(len(rows)) // 2)
        table.to_csv(Path(f"a{fold}") / PREDICTIONS, index=False)
    pooled = pool([read_fold(f"a{fold}") for fold in range(FOLDS)])
    assert pooled.predictions["cluster"].nunique() == IMAGES / 2
    assert pooled.predictions.groupby("cluster")["fold"].nunique().max() == 1
    assert pooled.ratio == 1  # of three parts one is test, one val, and one train


def test_what_is_no_whole_recipe_is_refused_in_one_line(
    workspaces: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def error(*names: str) -> str:
        with pytest.raises(UserError) as raised:
            folds(monkeypatch, capsys, *names)
        assert "\n" not in str(raised.value)
        return str(raised.value)

    right = workspaces[0]
    assert error("a0", "a2") == ("of the recipe of a0 1 of 3 folds are missing: give 1 too, which -S data.fold=1 runs")
    assert "1 of 3 folds are missing: give 2 too" in error("a0", "a1", "a2", "b0", "b1")
    write_fold(Path("again"), 1, right)
    assert error("a0", "a1", "again") == "a1 and again are both fold 1 of one recipe: give one of them"
    write_fold(Path("whole"), None, right)
    assert error("whole").startswith("whole is no fold, for its data.fold is null")
    write_fold(Path("third"), 0, right, finetune__lr=0.1)
    assert error("a0", "b0", "third") == (
        "a0, b0 and third are three recipes, which differ in finetune.lr: give all folds of one or of two"
    )
    predictions(0, right).to_csv(Path("again", PREDICTIONS), index=False)
    assert "20 images, 00.png the first, are test in two folds, a0 and again" in error("a0", "again", "a2")
    predictions(1, right, images=57).to_csv(Path("again", PREDICTIONS), index=False)
    assert error("a0", "again", "a2").startswith("1 images, 58.png the first, are test in no fold")
    predictions(1, right).assign(sha256="other").to_csv(Path("again", PREDICTIONS), index=False)
    assert "are another file or of another class in a0" in error("a0", "again", "a2")
    predictions(1, right)[lambda rows: rows["split"] != "test"].to_csv(Path("again", PREDICTIONS), index=False)
    assert error("a0", "again", "a2") == "again has no test images: it is no fold, run `dvc repro` there"
    for fold in range(FOLDS):  # one label is corrected
        table = predictions(fold, right)
        table.loc[table["path"] == "07.png", ["actual", "predicted"]] = "moth"
        table.to_csv(Path(f"b{fold}", PREDICTIONS), index=False)
    assert error("a0", "a1", "a2", "b0", "b1", "b2") == (
        "a0 and b0 cannot be compared: 1 images, 07.png the first, have other labels (ant, moth): run the folds of both "
        "recipes with the same labels and data.corrections"
    )
    for fold in range(FOLDS):  # the same parts, under other numbers
        predictions((fold + 1) % FOLDS, right).to_csv(Path(f"b{fold}", PREDICTIONS), index=False)
    assert "a0 and b0 cannot be compared: 60 images, 00.png the first, are in another fold" in error(
        *(f"{recipe}{fold}" for recipe in "ab" for fold in range(FOLDS))
    )
    assert error("nowhere").startswith("this folder") or "nowhere" in error("nowhere")


def test_without_a_share_of_training_images_it_is_students_test_and_interval() -> None:
    values = np.array([0.8, 0.9, 0.85, 0.7, 0.95])
    wanted = ttest_1samp(values, 0.0)
    assert p_over_folds(values, 0.0) == pytest.approx(wanted.pvalue)
    ends = values.mean() - half_width(values, 0.0, 0.9), values.mean() + half_width(values, 0.0, 0.9)
    assert ends == pytest.approx(tuple(wanted.confidence_interval(0.9)))


def test_the_correction_is_that_of_the_paper_worked_by_hand() -> None:
    # Deviations of -0.1, 0 and 0.1 have the variance 0.01; of three folds with 1/2: sqrt((1/3 + 1/2) 0.01) = 0.0912871.
    values = np.array([0.1, 0.2, 0.3])
    assert error_of_mean(values, 0.5) == pytest.approx(0.0912871, abs=1e-7)
    assert p_over_folds(values, 0.5) == pytest.approx(2 * t.sf(0.2 / 0.0912871, 2), abs=1e-6)
    assert p_over_folds(np.zeros(3), 0.5) == 1
    assert p_over_folds(np.full(3, 0.25), 0.5) == 0


def test_folds_that_are_alike_by_chance_are_no_more_certain_than_their_images() -> None:
    numbers = np.arange(20) % 2
    found = accuracy_over_folds(np.ones(20, bool), numbers, 1.0, 0.95)
    assert (found.low, found.high) == (pytest.approx(0.025 ** (1 / 20)), 1.0)  # Clopper and Pearson's
    a = np.arange(20) >= 2  # one image wrong in either fold
    difference, p = accuracy_difference_over_folds(a, np.ones(20, bool), numbers, 1.0, 0.95)
    assert p == 0.5  # McNemar's, of two images against none
    assert difference.low < 0 < difference.value < difference.high


def test_folds_that_differ_much_give_no_difference_of_more_than_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, numbers = np.zeros(30, bool), np.arange(30) % 3 > 0, np.arange(30) % 3
    difference, _ = accuracy_difference_over_folds(a, b, numbers, 0.5, 0.95)
    assert (difference.value, difference.low, difference.high) == (pytest.approx(2 / 3), -1.0, 1.0)
    monkeypatch.chdir(tmp_path)
    recipes = {"a": np.zeros(IMAGES, bool), "b": np.arange(IMAGES) % 3 > 0}
    of_recipes = [
        pool([read_fold(str(write_fold(Path(f"{name}{fold}"), fold, right))) for fold in range(FOLDS)])
        for name, right in recipes.items()
    ]
    found = results.results_of(of_recipes, 0.95)["differences"]
    for name in ("accuracy", "balanced_accuracy", "macro_f1"):
        assert (found[name]["low"], found[name]["high"]) == (-1.0, 1.0)
    assert found["loss"]["low"] < -1.5  # a loss has no bound


def test_where_trainings_are_unstable_the_images_alone_are_too_sure_and_the_interval_in_use_is_not() -> None:
    """What benchmarks/folds.py shows with more simulations."""
    _, of_images, _, _, used, _ = simulation.coverage(simulation.RECIPES[-1], 200, 400)
    assert of_images < 0.94
    assert used > 0.95


def test_recipes_that_are_alike_are_told_apart_one_time_in_twenty_at_most() -> None:
    alike = simulation.rejections(simulation.RECIPES[-1], 0, 60, 400)
    assert alike[3] <= 0.05
    better = simulation.rejections(simulation.RECIPES[0], 12, 600, 100)
    assert better[3] > 0.8
