"""Logistic regression on what a network's head takes: a baseline, and the head with which fine-tuning may begin."""

import contextlib
import sys
import warnings
from collections.abc import Iterator

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

ITERATIONS = 5000  # at most; it converges in a few hundred
LEAST_SCALE = 0.1  # of the features' median deviation


class FlooredScaler(StandardScaler):
    """Standardise features, but divide none by less than a tenth of the features' median deviation.

    A feature that one training image in fifty activates slightly may be thousands of its own deviations away on another
    image, and alone decide its class. benchmarks/probe_scale.py measures the floor.
    """

    def fit(self, X: np.ndarray, y: np.ndarray | None = None) -> "FlooredScaler":  # noqa: N803: scikit-learn's name
        """Fit the mean and the scale to features (N, features)."""
        super().fit(X)
        varying = self.var_[self.var_ > 0]
        if len(varying):
            self.scale_ = np.maximum(self.scale_, LEAST_SCALE * np.median(np.sqrt(varying)))
        return self


def linear_probe(*, balanced: bool = False) -> Pipeline:
    """Return a logistic regression on standardised features, with scikit-learn's default penalty.

    `balanced`: each class counts as much.
    """
    regression = LogisticRegression(max_iter=ITERATIONS, class_weight="balanced" if balanced else None)
    return make_pipeline(FlooredScaler(), regression)


@contextlib.contextmanager
def library_warnings_off() -> Iterator[None]:
    """Suppress scikit-learn's warnings of many classes with few images each, and of a fit that did not converge.

    The first takes the labels of a classifier for those of a regression; the second is printed in our own words.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def fitted_probe(features: np.ndarray, labels: np.ndarray, *, balanced: bool = False) -> Pipeline:
    """Return the probe fitted on features (N, features) and labels (N,); prints a line if it did not converge."""
    probe = linear_probe(balanced=balanced)
    with library_warnings_off():
        probe.fit(features, labels)
    if probe[-1].n_iter_.max() >= ITERATIONS:
        print(f"the linear probe did not converge in {ITERATIONS} iterations: it may be too low", file=sys.stderr)
    return probe


def linear_layer_of(probe: Pipeline) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight (classes, features) and the bias (classes,) that give the probe's probabilities by softmax.

    The layer takes the features as they are: W = coef / scale, b = intercept - W mean. For two classes scikit-learn has
    one row, whose sigmoid is the softmax of plus and minus half of it.
    """
    scaler, regression = probe
    weight = regression.coef_ / scaler.scale_
    bias = regression.intercept_ - weight @ scaler.mean_
    if len(weight) == 1:
        weight, bias = (np.concatenate([-values, values]) / 2 for values in (weight, bias))
    return weight, bias
