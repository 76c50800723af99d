"""Images of val and test that look like a training image to the network before it was fine-tuned.

`prepare` finds copies by their pixels. One that is mirrored or cropped has another hash, and nearly the same features.
So has another photograph of the same thing: what is found is to be looked at, and is not always a copy.
"""

import numpy as np
import pandas as pd

COLUMNS = ["split", "path", "nearest", "similarity"]
NEARER_THAN = 0.99  # of the training images by their own nearest ones: without copies one image in 100 is found
PART = 1024  # images that are compared with all of train at once: memory


def similar_images(
    paths: dict[str, list[str]], features: dict[str, np.ndarray], numbers: dict[str, np.ndarray]
) -> pd.DataFrame:
    """Return the images of val and test that are conspicuously near to a training image, the nearest first.

    Near is the cosine similarity of features (N, features), of length 1. Only training images of another cluster count,
    for `prepare` has found the others; `numbers` has by split the cluster of each image (N,). Conspicuous is an image
    that is nearer to one than 99 % of the training images are.
    """
    train = features["train"]
    if len(np.unique(numbers["train"])) == 1:
        return pd.DataFrame(columns=COLUMNS)
    _, usual = nearest_of_other_clusters(train, numbers["train"], train, numbers["train"])
    limit = np.quantile(usual, NEARER_THAN, method="higher")
    tables = []
    for split in list(features)[1:]:
        nearest, similarity = nearest_of_other_clusters(features[split], numbers[split], train, numbers["train"])
        values = {"path": paths[split], "nearest": [paths["train"][i] for i in nearest], "similarity": similarity}
        table = pd.DataFrame(values)[similarity > limit].sort_values("similarity", ascending=False, kind="stable")
        tables.append(table.assign(split=split)[COLUMNS])
    return pd.concat(tables)


def nearest_of_other_clusters(
    features: np.ndarray, numbers: np.ndarray, train: np.ndarray, train_numbers: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return for each image (N,) the training image of another cluster with the most similar features, and how similar.

    The search is in float32; the similarities are float64.
    """
    columns, nearest = train.astype(np.float32).T, np.empty(len(features), int)
    for start in range(0, len(features), PART):
        part = slice(start, start + PART)
        similarities = features[part].astype(np.float32) @ columns  # (PART, training images)
        similarities[numbers[part, None] == train_numbers] = -np.inf
        nearest[part] = similarities.argmax(axis=1)
    return nearest, np.concatenate(
        [
            np.einsum("nf,nf->n", features[start : start + PART], train[nearest[start : start + PART]])
            for start in range(0, len(features), PART)
        ]
    )


def lines_of_similar(table: pd.DataFrame, images: dict[str, int]) -> list[str]:
    """Return a line on the images of each split, of which there are so many, that are found."""
    return [
        f"{split}: {count} of {images[split]} images are nearer to a training image, by the backbone's features, than "
        f"99 % of the training images are to another: plots/similar_images.csv. About 1 in 100 is without any copy"
        for split, count in table["split"].value_counts(sort=False).items()
    ]
