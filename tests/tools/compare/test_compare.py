"""The command on a repository: what it prints, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from plumbline.results.measures_file import MEASURES, Measure, write_measures
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run.errors import UserError
from tests.conftest import PROJECT, change_params, commit_all, run_in
from tools.compare.comparison import Settings, compare_many, compare_two, recipes_of
from tools.compare.pairing import paired
from tools.compare.printing import many_as_text, two_as_text
from tools.compare.revisions import COLUMNS, Revision, read_revision


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


def recipes(accuracies: dict[float, list[float]], images: int = 60) -> list[Revision]:
    """Return a revision for each learning rate and seed, with this accuracy."""
    found = []
    for lr, own in accuracies.items():
        for seed, accuracy in enumerate(own):
            right = np.random.default_rng([seed, round(1e4 * lr)]).random(images) < accuracy
            table = pd.DataFrame(
                {"actual": "ant", "predicted": np.where(right, "ant", "bee"), "correct": right.astype(int)}
            )
            table[["loss", "squared_error"]] = 0.5
            table.index = [f"{i}.png" for i in range(images)]
            found.append(Revision(f"{lr}-{seed}", table, {}, {"seed": seed, "finetune.lr": lr}))
    return found


SETTINGS = Settings(["accuracy"], 0.95, 100, 0)


def with_clusters(revisions: list[Revision], clusters: np.ndarray) -> list[Revision]:
    return [replace(own, predictions=own.predictions.assign(cluster=clusters)) for own in revisions]


def test_images_in_groups_are_compared_by_groups_and_images_of_one_group_not_at_all() -> None:
    two = recipes({0.1: [0.9], 0.01: [0.7]})
    alone = compare_two(two, "val", SETTINGS)
    found = compare_two(with_clusters(two, np.arange(60) // 5), "val", SETTINGS)
    assert (alone["clusters"], found["clusters"]) == (None, 12)
    assert alone["mcnemar_p"] != found["mcnemar_p"]
    text = two_as_text(found, markdown=False)
    assert "val, 60 images in 12 independent groups, copies or images" in text
    assert "the exact p of McNemar's test with groups as units is" in text
    for compare in (compare_two, compare_many):
        with pytest.raises(UserError, match="all 60 images belong together"):
            compare(with_clusters(two, np.zeros(60)), "val", SETTINGS)


@pytest.mark.medium
def test_only_seeds_of_one_recipe_have_a_mean_and_a_deviation() -> None:
    one = compare_many(recipes({0.1: [0.8, 0.9, 0.7]}), "val", SETTINGS)
    values = one["metrics"]["accuracy"]["values"]
    assert one["metrics"]["accuracy"]["mean"] == pytest.approx(np.mean(values))
    assert one["metrics"]["accuracy"]["deviation"] == pytest.approx(np.std(values, ddof=1))
    assert one["over_seeds"] is None
    assert "deviation" in many_as_text(one, markdown=False)
    assert "over the seeds" not in many_as_text(one, markdown=False)
    copies = recipes({0.1: [0.8, 0.9]})
    three = compare_many([*copies, *recipes({0.2: [0.8]})], "val", SETTINGS)
    assert list(three["metrics"]["accuracy"]) == ["values"]
    assert three["over_seeds"] is None
    assert [len(own) for own in recipes_of([*copies, copies[0]])] == [2]  # one seed twice is one run


@pytest.mark.medium
def test_two_recipes_are_compared_over_their_seeds() -> None:
    revisions = recipes({0.1: [0.6, 0.6, 0.6], 0.2: [0.95, 0.95, 0.95]})
    own = compare_many(revisions, "val", SETTINGS)["over_seeds"]
    assert (own["a"], own["b"]) == (["0.1-0", "0.1-1", "0.1-2"], ["0.2-0", "0.2-1", "0.2-2"])
    assert 0 < own["low"] < own["difference"] < own["high"]
    assert own["p"] < 0.05
    text = many_as_text(compare_many(revisions, "test", SETTINGS), markdown=False)
    assert "Over seeds, A is 0.1-0, 0.1-1, 0.1-2 and B is 0.2-0, 0.2-1, 0.2-2: accuracy, B - A, +0" in text
    assert text.endswith("The accuracy of a revision chosen by them is too high.")


def test_it_says_what_the_luck_of_the_training_may_do_and_what_to_run() -> None:
    found = compare_two(recipes({0.1: [0.8], 0.2: [0.8]}), "val", SETTINGS)
    text = two_as_text(found, markdown=False)
    assert "for these two models on images like these" in text
    assert "another seed may turn the result" in text
    for lr in (0.1, 0.2):
        assert f"  dvc exp run --queue -S finetune.lr={lr} -S seed=0,1,2,3,4 evaluate\n" in text
    assert "These are val images: choose by them" in text
    seeds = two_as_text(compare_two(recipes({0.1: [0.8, 0.9]}), "val", SETTINGS), markdown=False)
    assert "one recipe with two seeds" in seeds
    assert "may turn" not in seeds


def test_few_images_that_differ_are_warned_about_and_the_accuracys_interval_has_a_width() -> None:
    settings = Settings(["accuracy", "loss"], 0.95, 100, 0)
    (revision,) = recipes({0.1: [0.8]})
    same = compare_two([revision, revision], "val", settings)
    assert same["metrics"]["accuracy"]["low"] < 0 < same["metrics"]["accuracy"]["high"]
    assert "differ in 0 of the answers: the bootstrap intervals, those of loss, are" in two_as_text(
        same, markdown=False
    )
    other = compare_two(recipes({0.1: [0.3], 0.2: [0.7]}), "val", settings)
    assert "of the answers" not in two_as_text(other, markdown=False)


def answers(name: str, labels: str, predicted: str, corrected: str = "", images: str | None = None) -> Revision:
    """Return a revision with one letter an image: its label, its prediction, and which of abc... corrections name."""
    paths = list(images or "abcdefghij"[: len(labels)])
    table = pd.DataFrame({"actual": list(labels), "predicted": list(predicted), "sha256": paths}, index=paths)
    table["correct"] = (table["actual"] == table["predicted"]).astype(int)
    table[["loss", "squared_error"]] = 0.5
    return Revision(name, table, {}, {}, frozenset(corrected))


def test_where_labels_were_corrected_both_models_are_judged_by_the_new_ones_and_a_line_says_so() -> None:
    """By hand: of ten images two labels change, to what both models say; by its own labels A would have 0.7."""
    settings = Settings(["accuracy", "loss", "brier"], 0.95, 100, 0)
    before = answers("before", "xxxxxyyyyy", "xxxyyyyyyx")
    after = answers("after", "xxxyyyyyyy", "xxxyyyyyyy", "de")
    found = compare_two(paired([before, after]), "test", settings)
    own = found["metrics"]["accuracy"]
    assert (own["a"], own["b"]) == (0.9, 1.0)
    assert found["right_in_b_alone"] == ["j"]
    assert (set(found["metrics"]), found["relabelled"], found["left_out"]) == ({"accuracy"}, ["d", "e"], [])
    line = (
        "The labels of 2 images differ: all models are judged by B's labels, which neither loss nor Brier score can be"
    )
    assert line in two_as_text(found, markdown=False)
    turned = compare_two(paired([after, before]), "test", settings)["metrics"]["accuracy"]
    assert (turned["a"], turned["b"]) == (0.8, 0.7)
    many = compare_many(paired([before, before, after]), "test", settings)
    assert many["metrics"]["accuracy"]["values"] == [0.9, 0.9, 1.0]
    assert "judged by after's labels" in many_as_text(many, markdown=False)
    with pytest.raises(UserError, match="e is x in before, z in after, which is no class of before's"):
        paired([before, answers("after", "xxxxzyyyyy", "xxxyyyyyyy")])
    with pytest.raises(UserError, match="loss and brier cannot be compared where labels differ"):
        compare_two(paired([before, after]), "test", Settings(["loss", "brier"], 0.95, 100, 0))


def test_images_that_corrections_exclude_or_bring_back_are_not_compared_and_no_others_may_lack() -> None:
    before = answers("before", "xxxyyy", "xxxyyx", images="abcefg")
    after = answers("after", "xxxyyy", "xxxyyy", "gd", images="abcdef")
    found = compare_two(paired([before, after]), "test", SETTINGS)
    assert (found["images"], found["left_out"], found["relabelled"]) == (5, ["g", "d"], [])
    assert "exclude them or bring them back: 2 images." in two_as_text(found, markdown=False)
    with pytest.raises(UserError, match="1 images of before's, g the first, are not among after's"):
        paired([before, replace(after, corrected=frozenset("d"))])


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
