"""The accuracy with its interval beside two baselines, and the confusion matrix of each split."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import confusion_matrix

from plumbline.presentation.figure_style import LINES, MOST_NAMES, SPLITS, shortened
from plumbline.results.measures_file import Measures

ROWS = {"accuracy": "this model", "probe_accuracy": "linear probe", "majority_accuracy": "most frequent class"}
LETTER = 0.08  # inches
MOST_CELLS_IN_NUMBERS = 15  # classes; beyond, the numbers would not fit their cells


def draw_baselines(measures: Measures, confidence: float) -> Figure:
    """Return the figure for plots/measures.csv: the interval of each model and split as a line."""
    splits = [split for split in SPLITS if (split, "accuracy") in measures]
    figure = Figure(figsize=(6.4, 1.6 + 0.28 * len(ROWS) * len(splits)), layout="constrained")
    axes = figure.subplots()
    for s, split in enumerate(splits):
        style = LINES[split] | {"linestyle": "none", "markersize": 6}
        places = [row * (len(splits) + 1) + s for row in range(len(ROWS))]
        shown = [measures[split, name] for name in ROWS]
        values, low, high = ([getattr(measure, end) for measure in shown] for end in ("value", "low", "high"))
        label = f"{split}, {shown[0].images} images"
        axes.hlines(places, low, high, color=style["color"], linewidth=2)
        axes.plot(values, places, label=label, **style)
        for value, place, end in zip(values, places, high, strict=True):
            axes.text(end + 0.02, place, f"{value:.3f}", va="center", fontsize=8)
    middles = [row * (len(splits) + 1) + (len(splits) - 1) / 2 for row in range(len(ROWS))]
    axes.set_yticks(middles, list(ROWS.values()))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(title=f"Accuracy with its {confidence:.0%} interval", xlabel="accuracy (fraction right)", xlim=(0, 1.12))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(splits))
    return figure


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
