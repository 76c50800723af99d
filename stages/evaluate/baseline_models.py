"""What a model has to beat: the commonest class, and a linear probe on the network before it was fine-tuned."""

import contextlib
import sys
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measures

ITERATIONS = 5000  # at most; it converges in a few hundred


def linear_probe() -> Pipeline:
    """Return a logistic regression on standardised features, with scikit-learn's default penalty."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))


@contextlib.contextmanager
def library_warnings_off() -> Iterator[None]:
    """Suppress scikit-learn's warnings of many classes with few images each, and of a fit that did not converge.

    The first takes the labels of a classifier for those of a regression; the second is printed in our own words.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


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
    probe = linear_probe()
    with library_warnings_off():
        probe.fit(features["train"], labels["train"])
    if probe[-1].n_iter_.max() >= ITERATIONS:
        print(f"the linear probe did not converge in {ITERATIONS} iterations: it may be too low", file=sys.stderr)
    found = {}
    for split, own in labels.items():
        right = {"majority": own == commonest, "probe": probe.predict(features[split]) == own}
        for baseline, hits in right.items():
            found[split, f"{baseline}_accuracy"] = share_of_images(hits, clusters[split], confidence)
    return found
