"""How well the class follows from what is no content: the brightness, the size, the format, the name or the date.

A model may learn such a shortcut, as where all images of one class came from another camera. Each is a logistic
regression that is fitted on train, like the linear probe. A shortcut that beats the commonest class says that the data
have it, not that the model uses it. Source: Geirhos et al. 2020, "Shortcut learning in deep neural networks".
"""

from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import HashingVectorizer

from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measures
from plumbline.training.linear_probe import fitted_probe

SHORTCUTS = ("brightness", "size", "format", "name", "date")
NAME_FEATURES = 256


def shortcut_features(appearance: pd.DataFrame, train: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return for each of SHORTCUTS what it knows of each image, (N, features); `train` is the appearance of train."""
    formats = sorted(train["format"].unique())
    days = (appearance["captured"] - train["captured"].mean()).fillna(0)
    size = np.log(appearance["side"]), np.log(appearance["aspect"])
    characters = HashingVectorizer(analyzer="char", ngram_range=(1, 3), n_features=NAME_FEATURES, norm=None)
    return {
        "brightness": np.stack([appearance["brightness"], appearance["brightness"] ** 2], axis=1),
        "size": np.stack([*size, size[1] ** 2], axis=1),
        "format": np.stack([appearance["format"] == name for name in formats], axis=1).astype(float),
        "name": characters.transform(PurePosixPath(path).name for path in appearance["path"]).toarray(),
        "date": np.stack([appearance["captured"].notna(), days, days**2], axis=1),
    }


def shortcut_measures(
    labels: Mapping[str, np.ndarray],
    appearance: Mapping[str, pd.DataFrame],
    clusters: Mapping[str, np.ndarray | None],
    confidence: float,
) -> Measures:
    """Return the accuracies of the shortcuts on the splits but train, by split: those of which train has two values."""
    features = {split: shortcut_features(appearance[split], appearance["train"]) for split in labels}
    measures = {}
    for name in SHORTCUTS:
        if (np.ptp(features["train"][name], axis=0) == 0).all():
            continue
        probe = fitted_probe(features["train"][name], labels["train"])
        for split in list(labels)[1:]:
            right = probe.predict(features[split][name]) == labels[split]
            measures[split, f"shortcut_{name}_accuracy"] = share_of_images(right, clusters[split], confidence)
    return measures


def lines_of_shortcuts(measures: Measures, split: str) -> list[str]:
    """Return a line for each shortcut that is surely better than the commonest class on a split."""
    majority = measures[split, "majority_accuracy"].value
    accuracies = [(name, measures.get((split, f"shortcut_{name}_accuracy"))) for name in SHORTCUTS]
    return [
        f"{split}: the {name} alone tells the class of {accuracy.value:.3f} of the images, interval "
        f"[{accuracy.low:.3f}, {accuracy.high:.3f}], the commonest class {majority:.3f}: the model may have learnt it"
        for name, accuracy in accuracies
        if accuracy is not None and accuracy.low > majority
    ]
