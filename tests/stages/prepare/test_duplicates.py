"""Copies and near copies are found, and each policy does with them what it says."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.spatial.distance import pdist, squareform

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from stages.prepare import duplicates
from stages.prepare.decoding import THUMBNAIL
from stages.prepare.duplicates import MIN_CORRELATION, close_pairs, clusters_of, near_pairs
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, manifest, notes, quarantine, splits


@pytest.mark.medium
@given(
    st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8),
    st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 63), max_size=9)), max_size=40),
    st.integers(0, 16),
)
@settings(max_examples=200)
def test_close_pairs_are_those_of_comparing_all_pairs(seeds: list, flips: list, distance: int) -> None:
    hashes = sorted({*seeds, *(seeds[i % len(seeds)] ^ sum(1 << bit for bit in bits) for i, bits in flips)})
    bits = np.array([[h >> bit & 1 for bit in range(64)] for h in hashes], dtype=bool)
    differing = squareform(np.rint(pdist(bits, "hamming") * 64)) if len(hashes) > 1 else np.zeros((1, 1))
    expected = [(i, j) for i, j in np.argwhere(differing <= distance).tolist() if i < j]
    assert sorted(close_pairs(np.array(hashes, dtype=np.uint64), distance)) == expected


def brute_force(hashes: list[int], thumbnails: list[str], distance: int) -> np.ndarray:
    """Return the clusters of near copies by comparing every image with every other."""
    values = [np.frombuffer(bytes.fromhex(text), np.uint8) for text in thumbnails]
    pairs = [
        (i, j)
        for i, j in itertools.combinations(range(len(hashes)), 2)
        if (hashes[i] ^ hashes[j]).bit_count() <= distance
        and np.corrcoef(values[i], values[j])[0, 1] >= MIN_CORRELATION
    ]
    return clusters_of(len(hashes), pairs)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), max_size=40), st.booleans())
@settings(max_examples=60)
def test_near_copies_are_those_of_comparing_all_pairs_also_where_hashes_are_equal(images: list, large: bool) -> None:
    # A picture of four, a hash of four that lie 0 to 3 bits from each other, and some noise. Equal hashes in the order
    # A, B, A', B' of two pictures are among them.
    chance = np.random.default_rng(0)
    pictures = chance.integers(20, 236, (4, THUMBNAIL**2))
    thumbnails = [
        (pictures[picture] + chance.integers(-noise, noise + 1, THUMBNAIL**2)).astype(np.uint8).tobytes().hex()
        for picture, _, noise in images
    ]
    hashes = [(1 << bits) - 1 for _, bits, _ in images]
    with pytest.MonkeyPatch.context() as patch:
        if large:  # as many images of a hash as are compared in blocks
            patch.setattr(duplicates, "PAIRS_AT_ONCE", 1)
            patch.setattr(duplicates, "ROWS_AT_ONCE", 3)
        pairs = list(near_pairs(np.array(hashes, dtype=np.uint64), thumbnails, distance=1))
    np.testing.assert_array_equal(clusters_of(len(images), pairs), brute_force(hashes, thumbnails, distance=1))


def picture(seed: int) -> Image.Image:
    coarse = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (5, 5, 3), dtype=np.uint8))
    return coarse.resize((90, 80), Image.Resampling.BICUBIC)


@pytest.fixture
def root(ready: Workspace) -> Path:
    """train/, val/ and test/ of two classes."""
    root = write_data_set(Path("images"))
    for c, class_name in enumerate(("ant", "bee")):
        for i in range(3):
            write_image(root / "test" / class_name / f"{i}.png", seed=900 + 10 * c + i)
    return root


def copy(root: Path, source: str, target: str) -> None:
    shutil.copy(root / source, root / target)


def test_of_copies_across_splits_the_one_that_is_measured_on_is_kept(root: Path) -> None:
    copy(root, "val/ant/0.png", "train/ant/val-too.png")
    copy(root, "test/ant/1.png", "train/ant/test-too.png")
    copy(root, "test/ant/1.png", "val/ant/test-too.png")
    prepare.main()
    assert quarantine() == {
        "train/ant/test-too.png": "duplicate",
        "train/ant/val-too.png": "duplicate",
        "val/ant/test-too.png": "duplicate",
    }
    assert manifest()["sha256"].is_unique


def test_a_copy_within_a_split_is_used_and_noted(root: Path) -> None:
    copy(root, "train/ant/0.png", "train/ant/again.png")
    prepare.main()
    assert notes() == {"train/ant/again.png": "copy of train/ant/0.png"}
    assert quarantine() == {}


def test_duplicates_are_kept_and_noted_or_end_the_stage_where_the_policy_says_so(ready: Workspace, root: Path) -> None:
    copy(root, "val/ant/0.png", "train/ant/val-too.png")
    ready.set(data__duplicates="keep")
    prepare.main()
    assert notes() == {"train/ant/val-too.png": "duplicate: the same file is val/ant/0.png"}
    shutil.rmtree(PREPARED)
    ready.set(data__duplicates="fail")
    with pytest.raises(UserError, match=r"^train/ant/val-too.png: duplicate: the same file is val/ant/0.png \(1 such"):
        prepare.main()
    assert not PREPARED.exists()


def test_of_a_file_under_two_classes_no_copy_is_used(root: Path) -> None:
    copy(root, "train/ant/0.png", "train/bee/ant.png")
    copy(root, "train/ant/0.png", "val/bee/ant.png")
    prepare.main()
    assert quarantine() == {
        "train/ant/0.png": "conflicting label",
        "train/bee/ant.png": "conflicting label",
        "val/bee/ant.png": "conflicting label",
    }


def test_conflicting_labels_are_kept_and_noted_or_end_the_stage(ready: Workspace, root: Path) -> None:
    copy(root, "train/ant/0.png", "train/bee/ant.png")
    ready.set(data__conflicts="keep")
    prepare.main()
    assert notes()["train/bee/ant.png"].startswith("conflicting label: the same file is train/ant/0.png")
    assert notes()["train/ant/0.png"].startswith("conflicting label: the same file is train/bee/ant.png")
    ready.set(data__conflicts="fail")
    with pytest.raises(UserError, match=r"^train/ant/0.png: conflicting label: the same file is train/bee/ant.png"):
        prepare.main()


def with_near_copies(root: Path) -> None:
    picture(1).save(root / "test/ant/picture.png")
    picture(1).resize((70, 62)).save(root / "train/ant/smaller.jpg", quality=60)
    picture(1).save(root / "val/ant/again.webp", quality=50)
    picture(2).save(root / "train/bee/other.png")


@pytest.mark.parametrize("policy", ["keep", "drop", "fail"])
def test_near_copies_across_splits_are_found_and_treated_by_the_policy(
    ready: Workspace, root: Path, policy: str
) -> None:
    with_near_copies(root)
    ready.set(data__near_duplicates=policy)
    if policy == "fail":
        with pytest.raises(UserError, match="near duplicate: looks like test/ant/picture.png"):
            prepare.main()
        return
    prepare.main()
    near = {"train/ant/smaller.jpg", "val/ant/again.webp"}
    if policy == "drop":
        assert quarantine() == dict.fromkeys(near, "near duplicate")
    else:
        assert notes() == dict.fromkeys(near, "near duplicate: looks like test/ant/picture.png")


def test_near_copies_under_two_classes_are_noted(root: Path) -> None:
    picture(1).save(root / "train/ant/picture.png")
    picture(1).save(root / "train/bee/picture.jpg", quality=70)
    prepare.main()
    assert notes() == {
        "train/ant/picture.png": "near conflicting label: looks like train/bee/picture.jpg",
        "train/bee/picture.jpg": "near conflicting label: looks like train/ant/picture.png",
    }


def test_a_class_of_which_every_copy_is_dropped_is_refused(root: Path) -> None:
    for path in (root / "val/ant").iterdir():
        path.unlink()
    copy(root, "train/bee/0.png", "val/ant/bee.png")
    with pytest.raises(UserError, match="^val/ant holds no usable image.*val/ant/bee.png: conflicting label"):
        prepare.main()


def test_blank_images_are_no_near_copies_of_each_other(root: Path) -> None:
    for i, (split, colour) in enumerate(itertools.product(("train", "val"), ("black", "white", "red"))):
        Image.new("RGB", (40, 40 + i), colour).save(root / split / "ant" / f"{colour}.png")
    prepare.main()
    assert not any("looks like" in note for note in notes().values())
    assert len(splits()) == 24
