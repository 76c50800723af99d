"""What is compared, and what is said of it: seeds and recipes, images in groups, corrected labels."""

import shlex
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from plumbline.run.errors import UserError
from tools.compare.comparison import Settings, compare_many, compare_two, recipes_of
from tools.compare.pairing import paired
from tools.compare.printing import many_as_text, two_as_text
from tools.compare.revisions import Revision


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


NAMES = ["my photos (1)", "it's", 'a "b"', "a,b", "x=y", "~/photos", "/data/fotos é", "[a]", "#1", "$HOME", "a.zip"]
NO_NAMES = ["C:\\photos\\", "a\\'b", "", " a", "null", "True", "2024", "1e5"]  # text all the same


@pytest.mark.parametrize("value", [*NAMES, *NO_NAMES, None, True, 1e-05, 3, [0.5, 0.25], ["layer (1)", None]], ids=repr)
def test_a_command_that_is_suggested_gives_each_parameter_its_value(value: object) -> None:
    a, b = recipes({0.1: [0.9], 0.01: [0.7]})
    params = [own.params | {"data.root": root} for own, root in ((a, value), (b, "elsewhere"))]
    two = [replace(own, params=values) for own, values in zip((a, b), params, strict=True)]
    text = two_as_text(compare_two(two, "val", SETTINGS), markdown=False)
    (words, _) = (shlex.split(line) for line in text.splitlines() if line.startswith("  dvc exp run"))
    wanted = OverridesParser.create().parse_override(words[words.index("-S") + 3])
    assert (wanted.key_or_group, plain(wanted.value())) == ("data.root", value)


def plain(value: object) -> object:
    """Return what Hydra has read, with text in quotes as text."""
    return [plain(each) for each in value] if isinstance(value, list) else getattr(value, "text", value)


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
