"""Images of val and test that are near copies of earlier ones are left out of an accuracy that says so."""

import numpy as np
import pytest

from plumbline.results.intervals import clusters_within
from stages.evaluate.images_that_belong_together import accuracy_without_copies, print_clusters
from stages.evaluate.predictions import SplitPredictions
from tests.stages.evaluate.conftest import from_logits


def predictions(right: list[bool], clusters: np.ndarray | None = None) -> SplitPredictions:
    labels = np.zeros(len(right), int)
    own = from_logits(labels, np.eye(2)[np.where(right, 0, 1)])
    own = type(own)(own.labels, own.log_probabilities, clusters)
    return SplitPredictions(own, own)


def test_the_accuracy_without_copies_is_that_of_the_other_images(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = {"train": np.array([0, 1, 2]), "val": np.array([1, 3, 3]), "test": np.array([3, 4, 5, 6])}
    clusters = {split: clusters_within(own) for split, own in numbers.items()}
    assert [split for split, own in clusters.items() if own is not None] == ["val"]
    found = {
        "train": predictions([True] * 3),
        "val": predictions([True, True, False], clusters["val"]),
        "test": predictions([True, False, True, True]),
    }
    measures = accuracy_without_copies(found, numbers, 0.95)
    assert {key: (own.value, own.images) for key, own in measures.items()} == {
        ("val", "accuracy_without_copies"): (0.5, 2),
        ("test", "accuracy_without_copies"): (pytest.approx(2 / 3), 3),
    }
    measures |= {(split, "accuracy"): measures["test", "accuracy_without_copies"]._replace(images=len(own))
                 for split, own in numbers.items()}  # fmt: skip
    print_clusters({split: own.plain for split, own in found.items()}, measures, 0.95)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("val: the 3 images are 2 independent")
    assert "test: 1 of 4 images are copies of one in an earlier split" in lines[2]


def test_where_no_image_or_every_image_is_a_copy_there_is_no_such_accuracy() -> None:
    numbers = {"train": np.array([0, 1]), "val": np.array([2, 3]), "test": np.array([0, 1])}
    found = {split: predictions([True, True]) for split in numbers}
    assert accuracy_without_copies(found, numbers, 0.95) == {}
