"""Clusters of images that look alike to the network before it was fine-tuned: on one of them a model may be weak."""

import numpy as np
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from plumbline.training.linear_probe import library_warnings_off

EACH = 30  # images a cluster, in train and in the last split: one with a third of them is still a slice
MOST = 10  # clusters: Holm's correction grows with their number


def feature_clusters(paths: list[str], features: dict[str, np.ndarray], seed: int) -> dict[str, list[str]]:
    """Return by split the cluster (N,) of each image, named by the path of the training image nearest to its centre.

    k-means on the features (N, features), of length 1, of train. The smaller of train and the last split has EACH
    images a cluster; with fewer than two clusters the result is empty.
    """
    number = min(MOST, min(len(features["train"]), len(list(features.values())[-1])) // EACH)
    if number < 2:
        return {}
    with library_warnings_off():  # of fewer different images than clusters
        fitted = KMeans(number, random_state=seed % 2**32).fit(features["train"])  # scikit-learn takes no larger one
    names = [paths[i] for i in pairwise_distances_argmin(fitted.cluster_centers_, features["train"])]
    return {split: [names[i] for i in fitted.predict(vectors)] for split, vectors in features.items()}
