"""Doubtful labels: images whose label is contradicted by a model that was not trained on them.

For train that model is the linear probe, fitted on the other folds; for val and test it is the fine-tuned model.
Source: Northcutt, Jiang and Chuang 2021, "Confident learning", arXiv:1911.00068, for the out-of-fold probabilities.
"""

import sys

import numpy as np
import pandas as pd
from sklearn.model_selection import cross_val_predict

from plumbline.training.linear_probe import library_warnings_off, linear_probe
from stages.evaluate.folds import folds_of

COLUMNS = ["split", "path", "actual", "suggested", "probability_of_actual", "probability_of_suggested"]


def out_of_fold_probabilities(
    features: np.ndarray, labels: np.ndarray, clusters: np.ndarray | None, folds: int, seed: int
) -> np.ndarray | None:
    """Return each training image's probabilities (N, classes) by probes fitted on the other folds.

    None, and a message, where `folds_of` finds no folds.
    """
    parts = folds_of(labels, clusters, folds, seed)
    if parts is None:
        alone = "image" if clusters is None else "group of images that belong together"
        print(
            f"train cannot be cut into folds each of which leaves every class, as where a class has a single {alone}: "
            "plots/label_doubts.csv has no training labels",
            file=sys.stderr,
        )
        return None
    with library_warnings_off():
        predictions = cross_val_predict(linear_probe(), features, labels, cv=parts, method="predict_proba")
    probabilities = np.zeros((len(labels), labels.max() + 1))
    probabilities[:, np.unique(labels)] = predictions
    return probabilities


def doubts(
    split: str, paths: list[str], labels: np.ndarray, probabilities: np.ndarray, classes: list[str]
) -> pd.DataFrame:
    """Return the images whose likeliest class is not the label, those with the least likely labels first."""
    suggested = probabilities.argmax(axis=1)
    rows = np.flatnonzero(suggested != labels)
    table = pd.DataFrame(
        {
            "split": split,
            "path": [paths[i] for i in rows],
            "actual": [classes[labels[i]] for i in rows],
            "suggested": [classes[suggested[i]] for i in rows],
            "probability_of_actual": probabilities[rows, labels[rows]],
            "probability_of_suggested": probabilities[rows, suggested[rows]],
        },
        columns=COLUMNS,
    )
    return table.sort_values(["probability_of_actual", "path"], kind="stable")
