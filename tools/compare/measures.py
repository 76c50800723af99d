"""The metrics that are compared, from the rows of plots/predictions.csv, as functions of the images' weights."""

import numpy as np
import pandas as pd

from plumbline.results.class_scores import WeightedMeasures, class_measures

MEANS = {"accuracy": "correct", "loss": "loss", "brier": "squared_error"}  # metric: column
METRICS = ("accuracy", "balanced_accuracy", "macro_f1", "loss", "brier")


def measures_of(predictions: pd.DataFrame, wanted: list[str]) -> WeightedMeasures:
    """Return the metrics in `wanted`, of METRICS; loss in nats, after the temperature."""
    names = pd.Index(predictions["actual"]).append(pd.Index(predictions["predicted"])).unique()
    actual, predicted = (names.get_indexer(predictions[column]) for column in ("actual", "predicted"))
    of_classes = class_measures(actual, predicted, len(names))
    values = np.stack([predictions[column].to_numpy(float) for column in MEANS.values()])

    def measures(weights: np.ndarray) -> dict[str, float]:
        means = dict(zip(MEANS, (values @ weights / weights.sum()).tolist(), strict=True))
        found = means | of_classes(weights)
        return {name: found[name] for name in wanted}

    return measures
