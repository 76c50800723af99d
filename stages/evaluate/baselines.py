"""What a model has to beat: the commonest class, and a linear probe on the network before it was fine-tuned."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

ITERATIONS = 5000  # at most; a few hundred do


def commonest_class(labels: np.ndarray) -> int:
    """Return the class with most images, the first of several."""
    return int(np.bincount(labels).argmax())


def linear_probe() -> Pipeline:
    """Return a logistic regression on standardised features, with scikit-learn's penalty."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
