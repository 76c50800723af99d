"""What a model has to beat: the commonest class, and a linear probe on the network before it was fine-tuned."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from plumbline.results.intervals import share_with_interval
from plumbline.results.measures_file import Measures

ITERATIONS = 5000  # at most; it converges in a few hundred


def linear_probe() -> Pipeline:
    """Return a logistic regression on standardised features, with scikit-learn's default penalty."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))


def commonest_class(labels: np.ndarray) -> int:
    """Return the class with most images, the first of several."""
    return int(np.bincount(labels).argmax())


def baseline_measures(labels: dict[str, np.ndarray], features: dict[str, np.ndarray], confidence: float) -> Measures:
    """Return each split's accuracies of naming the commonest class and of the linear probe, both fitted on train.

    By split: labels (N,), and the backbone's features (N, features).
    """
    commonest = commonest_class(labels["train"])
    probe = linear_probe().fit(features["train"], labels["train"])
    found = {}
    for split, own in labels.items():
        right = {"majority": own == commonest, "probe": probe.predict(features[split]) == own}
        for baseline, hits in right.items():
            found[split, f"{baseline}_accuracy"] = share_with_interval(int(hits.sum()), len(own), confidence)
    return found
