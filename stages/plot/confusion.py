"""The confusion of each split: how many images of each class were taken for which."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from plumbline.presentation.figure_style import MOST_NAMES, SPLITS, shortened

LETTER = 0.08  # inches
MOST_CELLS_IN_NUMBERS = 15  # classes; beyond, the numbers would not fit their cells


def draw_confusion(predictions: pd.DataFrame, classes: list[str]) -> Figure:
    """Return one panel a split: how many images of each actual class were predicted as each class."""
    splits = [split for split in SPLITS if (predictions["split"] == split).any()]
    room = LETTER * max(len(shortened(name)) for name in classes)  # for the names, at the left and below
    figure = Figure(figsize=(1 + (3.2 + room) * len(splits), 3.8 + room), layout="constrained")
    for axes, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits, strict=True):
        rows = predictions[predictions["split"] == split]
        counts = confusion_matrix(rows["actual"], rows["predicted"], labels=classes)
        draw_counts(axes, counts, classes)
        accuracy = np.trace(counts) / len(rows)
        axes.set(
            title=f"{split}: {np.trace(counts)} of {len(rows)} right, {accuracy:.1%}",
            xlabel="predicted",
            ylabel="actual",
        )
    return figure


def draw_counts(axes: Axes, counts: np.ndarray, classes: list[str]) -> None:
    """Draw a matrix of counts (classes, classes), shaded by the share of each actual class."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.grid(visible=False)
    shown = range(0, len(classes), -(-len(classes) // MOST_NAMES))
    names = [shortened(classes[i]) for i in shown]
    axes.set_xticks(shown, names, rotation=90 if max(map(len, names)) > 3 else 0)
    axes.set_yticks(shown, names)
    if len(classes) <= MOST_CELLS_IN_NUMBERS:
        for (i, j), count in np.ndenumerate(counts):
            axes.text(j, i, str(count), ha="center", va="center", color="white" if shares[i, j] > 0.5 else "black")
