"""Clusters of features, against clouds of which it is known which image is whose."""

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import normalize
from statsmodels.stats.multitest import multipletests

from stages.evaluate.feature_clusters import EACH, MOST, feature_clusters
from stages.evaluate.slices import slices_table


def clouds(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features in as many clouds, and the cloud of each image."""
    chance, own = np.random.default_rng(seed), np.repeat(np.arange(len(sizes)), sizes)
    return normalize(np.eye(8)[own] + 0.05 * chance.normal(size=(len(own), 8))), own


def paths(images: int) -> list[str]:
    return [f"train/{i}.png" for i in range(images)]


def test_each_cloud_is_a_cluster_that_has_the_path_of_the_training_image_in_its_middle() -> None:
    (train, of_train), (test, of_test) = clouds([30, 60, 30], 0), clouds([40, 20, 30], 1)
    found = feature_clusters(paths(120), {"train": train, "test": test}, seed=0)
    middles = []
    for cloud in range(3):
        mean = train[of_train == cloud].mean(axis=0)
        middles.append(f"train/{np.linalg.norm(train - mean, axis=1).argmin()}.png")
    assert found == {"train": [middles[i] for i in of_train], "test": [middles[i] for i in of_test]}


@pytest.mark.parametrize(("train", "test", "clusters"), [(59, 900, 0), (60, 900, 2), (900, 119, 3), (900, 900, MOST)])
def test_the_smaller_of_train_and_test_says_how_many_clusters_there_are(train: int, test: int, clusters: int) -> None:
    chance = np.random.default_rng(0)
    features = {"train": chance.normal(size=(train, 8)), "val": np.zeros((1, 8)), "test": chance.normal(size=(test, 8))}
    found = feature_clusters(paths(train), features, seed=0)
    assert clusters == (len(set(found["train"])) if found else 0)
    assert (EACH, MOST) == (30, 10)


def test_images_that_are_all_the_same_are_one_cluster() -> None:
    same = {"train": np.ones((90, 8)), "val": np.ones((90, 8))}
    assert set(feature_clusters(paths(90), same, 2**63 - 1)["val"]) == {"train/0.png"}


@pytest.mark.medium
def test_a_cluster_on_which_the_model_is_weak_is_a_slice_and_counts_for_holm() -> None:
    features = {"train": clouds([30, 60], 0)[0], "test": clouds([30, 60], 1)[0]}
    own = feature_clusters(paths(90), features, seed=0)["test"]
    formats = ["PNG"] * 45 + ["GIF"] * 45
    appearance = pd.DataFrame({"path": paths(90), "captured": 0.0, "format": formats, "cluster of features": own})
    table = slices_table("test", np.arange(90) >= 20, appearance, None, 0.95)
    assert (table["slice"].iloc[0], table["images"].iloc[0]) == (f"cluster of features {own[0]}", 30)
    assert len(table) == 5
    np.testing.assert_allclose(table["holm_p"], multipletests(table["p"], method="holm")[1])
