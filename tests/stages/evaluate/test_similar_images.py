"""Images of val and test that look like a training image, against scikit-learn's neighbours and planted copies."""

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import normalize

from stages.evaluate.similar_images import COLUMNS, PART, lines_of_similar, nearest_of_other_clusters, similar_images

FEATURES = 16


def directions(images: int, seed: int) -> np.ndarray:
    return normalize(np.random.default_rng(seed).normal(size=(images, FEATURES)))


def paths_of(features: dict[str, np.ndarray]) -> dict[str, list[str]]:
    return {split: [f"{split}/{i}.png" for i in range(len(own))] for split, own in features.items()}


def apart(features: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Give each image a cluster of its own."""
    ends = np.cumsum([0, *map(len, features.values())])
    return {split: np.arange(ends[i], ends[i + 1]) for i, split in enumerate(features)}


def test_the_nearest_of_other_clusters_are_those_of_scikit_learn_also_over_several_parts() -> None:
    train, own = directions(300, 0), directions(PART + 50, 1)
    train_numbers, numbers = np.arange(300) // 3, np.arange(PART + 50) % 100  # each has three of its own in train
    nearest, similarity = nearest_of_other_clusters(own, numbers, train, train_numbers)
    distances, neighbours = NearestNeighbors(n_neighbors=4, metric="cosine").fit(train).kneighbors(own)
    first = (train_numbers[neighbours] != numbers[:, None]).argmax(axis=1)
    rows = np.arange(len(own))
    np.testing.assert_array_equal(nearest, neighbours[rows, first])
    np.testing.assert_allclose(similarity, 1 - distances[rows, first], rtol=0, atol=1e-12)


def test_an_image_is_found_if_it_is_nearer_than_99_in_100_training_images_to_each_other() -> None:
    features = {"train": directions(500, 0), "val": directions(300, 1), "test": directions(2000, 2)}
    features["test"][7] = features["train"][400]
    table = similar_images(paths_of(features), features, apart(features))
    assert list(table) == COLUMNS
    first = table[table["split"] == "test"].iloc[0]
    assert (first["path"], first["nearest"]) == ("test/7.png", "train/400.png")
    assert first["similarity"] == pytest.approx(1)
    train = NearestNeighbors(n_neighbors=2, metric="cosine").fit(features["train"])
    usual = np.sort(1 - train.kneighbors(features["train"])[0][:, 1])
    for split in ("val", "test"):
        similarity = 1 - train.kneighbors(features[split], n_neighbors=1)[0][:, 0]
        assert (table["split"] == split).sum() == (similarity > usual[495]).sum()  # (500 - 1) 0.99 = 494.01
    assert 0 < len(table) < 0.03 * 2300


def test_what_prepare_has_found_already_is_not_found_again() -> None:
    features = {"train": directions(50, 0), "test": directions(20, 1)}
    features["test"][3] = features["train"][10]
    numbers = apart(features)
    numbers["test"][3] = numbers["train"][10]
    assert "test/3.png" not in similar_images(paths_of(features), features, numbers)["path"].to_list()
    features["train"][20] = features["train"][10]  # nor do copies in train hide others
    numbers["train"][20] = numbers["train"][10]
    features["test"][5] = normalize(features["train"][[30]] + 0.01)[0]
    assert similar_images(paths_of(features), features, numbers)["path"].to_list()[0] == "test/5.png"
    numbers["train"][:] = 0
    assert similar_images(paths_of(features), features, numbers).empty


def test_a_line_says_how_many_of_a_split_are_found() -> None:
    table = pd.DataFrame({"split": ["val", "test", "test"]})
    first, second = lines_of_similar(table, {"train": 60, "val": 24, "test": 273})
    assert first.startswith("val: 1 of 24 images are nearer to a training image")
    assert second.startswith("test: 2 of 273 images")
    assert lines_of_similar(table[:0], {"val": 24}) == []
