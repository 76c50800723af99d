"""Measure prediction sets on test: how often they hold the true class, and how many classes they have.

The sets are those of `tools.predict --coverage`: the val images that the model file holds set their thresholds.
"""

import sys

import numpy as np

from plumbline.model.prediction_sets import in_set, thresholds
from plumbline.model.val_images import ValImages
from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import share_of_images
from plumbline.results.measures_file import Measure, Measures
from plumbline.run.errors import UserError
from stages.evaluate.measures import with_intervals
from stages.evaluate.predictions import Predictions


def set_measures(val: ValImages, predictions: Predictions, settings: Evaluate, seed: int) -> dict[str, Measure]:
    """Return the share of images whose set holds the true class, and the mean number of classes in a set.

    `predictions` are those after the temperature on images other than val's. None, and a line, where val has too few
    images for `evaluate.coverage`.
    """
    try:
        least = thresholds(
            val.labels.numpy(), val.relative_probability.numpy(), predictions.classes, settings.coverage
        ).least
    except UserError as error:
        print(f"evaluate.coverage: no set of classes is measured: {error}", file=sys.stderr)
        return {}
    held = in_set(predictions.probabilities, least)  # (N, classes)
    right, sizes = held[np.arange(len(held)), predictions.labels], held.sum(axis=1)
    mean = with_intervals(
        lambda weights: {"set_size": float(sizes @ weights / weights.sum())},
        predictions,
        settings.resamples,
        settings.confidence,
        seed,
        settings.sampling,
    )
    return {"set_coverage": share_of_images(right, predictions.clusters, settings.confidence)} | mean


def line_of_sets(measures: Measures, split: str, coverage: float) -> str | None:
    """Return the line that the stage prints of them; None where none were measured."""
    if (split, "set_coverage") not in measures:
        return None
    share, size = measures[split, "set_coverage"], measures[split, "set_size"]
    return (
        f"sets of classes, coverage {coverage:g}: the true one is in those of {share.value:.3f} of {share.images} "
        f"{split} images [{share.low:.3f}, {share.high:.3f}]; a set has {size.value:.2f} classes on average"
    )
