"""What a model has to beat: the commonest class, and a linear probe on the network before it was fine-tuned."""

import numpy as np

from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measures
from plumbline.training.linear_probe import fitted_probe


def commonest_class(labels: np.ndarray) -> int:
    """Return the class with most images, the first of several."""
    return int(np.bincount(labels).argmax())


def baseline_measures(
    labels: dict[str, np.ndarray],
    features: dict[str, np.ndarray],
    clusters: dict[str, np.ndarray | None],
    confidence: float,
) -> Measures:
    """Return each split's accuracies of naming the commonest class and of the linear probe, both fitted on train.

    By split: labels (N,), the backbone's features (N, features), and clusters (N,) of images that belong together.
    """
    commonest = commonest_class(labels["train"])
    probe = fitted_probe(features["train"], labels["train"])
    measures = {}
    for split, actual in labels.items():
        right = {"majority": actual == commonest, "probe": probe.predict(features[split]) == actual}
        for baseline, hits in right.items():
            measures[split, f"{baseline}_accuracy"] = share_of_images(hits, clusters[split], confidence)
    return measures
