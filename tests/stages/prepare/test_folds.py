"""Folds: every image is test in one of them, what belongs together stays together, and each has every class."""

import itertools
import shutil
from collections import Counter, defaultdict
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from stages.prepare.folder_structure import Candidate
from stages.prepare.folds import choose_fold, choose_folds
from stages.prepare.parallel_decoding import UsableImage
from tests.conftest import Workspace, write_image
from tests.stages.prepare.conftest import AUDIT, manifest, prepared, quarantine, write_flat

FOLDS = 4


def image(number: int, class_name: str, file: int, group: int | None) -> UsableImage:
    facts = SimpleNamespace(sha256=f"{file:04}")
    candidate = Candidate(Path(), f"{number}.png", None, class_name, group and f"group {group}")
    return UsableImage(candidate, facts, None, None)


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[list[UsableImage], dict[str, int]]:
    """Draw images of up to three classes, some of them copies, near copies or of one group, and who is near whom."""
    images, near = [], {}
    for class_name in draw(st.sampled_from(["ab", "abc"])):
        for _ in range(draw(st.integers(1, 25))):
            number = len(images)
            file = draw(st.sampled_from([number, number, number // 3 * 3]))
            group = draw(st.sampled_from([None, None, 1 + number // 5]))
            images.append(image(number, class_name, file, group))
            near[f"{number}.png"] = draw(st.sampled_from([number, number // 2 * 2]))
    return images, near


def together(a: UsableImage, b: UsableImage, near: dict[str, int]) -> bool:
    """Whether two images may not be parted, for a reason of their own."""
    one, other = a.candidate, b.candidate
    grouped = one.group is not None and one.group == other.group
    return a.facts.sha256 == b.facts.sha256 or near[one.name] == near[other.name] or grouped


def parts_of(images: list[UsableImage], near: dict[str, int]) -> list[set[str]]:
    """Return the images that belong together, also through others: sets that touch are joined until none do."""
    parts: list[set[str]] = []
    for own in images:
        touched = {own.candidate.name} | {other.candidate.name for other in images if together(own, other, near)}
        for part in [part for part in parts if part & touched]:
            parts.remove(part)
            touched |= part
        parts.append(touched)
    return parts


@pytest.mark.medium
@given(data_sets(), st.randoms())
def test_every_image_is_in_one_fold_with_what_it_belongs_to_and_each_fold_has_every_class(
    data_set: tuple[list[UsableImage], dict[str, int]], chance: object
) -> None:
    images, near = data_set
    class_of = {own.candidate.name: own.candidate.class_name for own in images}
    parts = parts_of(images, near)
    independent = Counter(next(iter(names)) for part in parts if len(names := {class_of[own] for own in part}) == 1)
    mixed = any(len({class_of[name] for name in part}) > 1 for part in parts)
    try:
        fold_of = choose_folds(images, near, FOLDS, seed=0)
    except UserError:
        assert mixed or min(independent[name] for name in set(class_of.values())) < FOLDS
        return
    assert set(fold_of) == set(class_of)
    for part in parts:
        assert len({fold_of[name] for name in part}) == 1
    for fold in range(FOLDS):
        assert {class_of[name] for name in class_of if fold_of[name] == fold} == set(class_of.values())
    if not mixed:  # Graham's bound
        for class_name in set(class_of.values()):
            sizes = Counter(fold_of[name] for name in class_of if class_of[name] == class_name)
            assert max(sizes.values()) - min(sizes.values()) <= max(map(len, parts))
    shuffled = images.copy()
    chance.shuffle(shuffled)
    assert choose_folds(shuffled, near, FOLDS, seed=0) == fold_of


def test_folds_of_images_that_are_alone_differ_by_one_image_at_most_in_each_class_and_in_all() -> None:
    images = [image(i, "abcd"[i % 4], i, None) for i in range(4 * 11)]
    near = {own.candidate.name: i for i, own in enumerate(images)}
    fold_of = choose_folds(images, near, 5, seed=0)
    by_class = Counter((own.candidate.class_name, fold_of[own.candidate.name]) for own in images)
    assert set(by_class.values()) == {2, 3}
    assert set(Counter(fold_of.values()).values()) == {8, 9}
    assert choose_folds(images, near, 5, seed=1) != fold_of
    more = [*images, image(44, "a", 44, None)]
    moved = choose_folds(more, near | {"44.png": 44}, 5, seed=0)
    assert sum(moved[name] != fold for name, fold in fold_of.items()) <= 4 * 5  # at the blocks' ends alone


def test_val_is_another_one_in_each_fold() -> None:
    images = [image(i, "ab"[i % 2], i, None) for i in range(100)]
    near = {own.candidate.name: i for i, own in enumerate(images)}
    seen = defaultdict(set)
    for fold in range(5):
        data = SimpleNamespace(fold=fold, folds=5, val_share=0.2, split_seed=0)
        chosen = choose_fold(images, near, data)
        assert Counter(chosen.values()) == {"train": 60, "val": 20, "test": 20}
        for name, split in chosen.items():
            seen[split].add(name)
    assert len(seen["test"]) == 100
    assert len(seen["val"]) > 50  # of images drawn alike 1 - 0.8^5 = 0.67 are val at least once


def test_prepare_makes_each_image_test_once_whatever_splits_it_came_in(ready: Workspace) -> None:
    for split, first in (("train", 0), ("val", 10), ("test", 20)):
        for i in range(first, first + 6):
            write_image(Path("images", split, "ant", f"{i}.png"), seed=i)
            write_image(Path("images", split, "bee", f"{i}.png"), seed=100 + i)
    shutil.copy("images/train/ant/0.png", "images/test/ant/copy.png")
    tests, bytes_of_fold = [], {}
    for fold in range(3):
        ready.set(data__fold=fold, data__folds=3)
        prepare.main()
        rows = manifest()
        assert not quarantine()
        assert len(rows) == 37
        assert (rows.groupby("split")["class"].nunique() == 2).all()
        assert rows.groupby("sha256")["split"].nunique().max() == 1
        tests.append(set(rows[rows["split"] == "test"]["path"]))
        shares = pd.read_csv(AUDIT / "shares.csv").set_index(["class", "split"])["wanted"]
        assert shares["ant"].dropna().to_dict() == {"test": pytest.approx(1 / 3), "val": 0.2}
        bytes_of_fold[fold] = prepared()
    assert len(set().union(*tests)) == 37
    assert not any(a & b for a, b in itertools.combinations(tests, 2))
    prepare.main()
    assert prepared() == bytes_of_fold[2]


def test_without_a_fold_the_splits_are_the_same_whatever_the_number_of_folds(ready: Workspace) -> None:
    write_flat({"ant": 8, "bee": 8})
    prepare.main()
    before = prepared()
    ready.set(data__folds=7)
    prepare.main()
    assert prepared() == before


def test_too_few_images_for_the_folds_are_refused_with_a_number_that_works(ready: Workspace) -> None:
    write_flat({"ant": 10, "bee": 4})
    ready.set(data__fold=0)
    with pytest.raises(UserError, match="'bee' has 4 .* too few for 5 folds: add images, or set data.folds to 4$"):
        prepare.main()
    ready.set(data__folds=4)
    prepare.main()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"data__fold": 5}, "data.fold is 5: should be null or less than data.folds, 5"),
        ({"data__fold": -1}, "data.fold is -1: should be greater than or equal to 0"),
        ({"data__folds": 2}, "data.folds is 2: should be greater than or equal to 3"),
        (
            {"data__fold": 0, "data__folds": 3, "data__val_share": 0.7},
            "data.val_share and data.folds are 0.7 and 3: should leave something of 1 for train",
        ),
    ],
)
def test_a_fold_that_cannot_be_is_named(ready: Workspace, values: dict[str, object], line: str) -> None:
    ready.set(**values)
    with pytest.raises(UserError, match=line):
        prepare.main()
