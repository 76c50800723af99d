"""ROC curves, and precision against recall, on val and test."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from plumbline.presentation.figure_style import GREY, LINES, shortened

SHOWN = ("val", "test")  # the curves of the images that were trained on say nothing


def draw_trade_offs(roc: pd.DataFrame, precision_recall: pd.DataFrame, sizes: dict[str, int]) -> Figure:
    """Return two panels, for plots/roc.csv and plots/precision_recall.csv."""
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
    draw_curves_of(left, roc, "false_positive_rate", "true_positive_rate", sizes, "default")
    draw_curves_of(right, precision_recall, "recall", "precision", sizes, "steps-pre")
    left.set(title="ROC", xlabel="false positive rate", ylabel="true positive rate")
    right.set(title="Precision against recall", xlabel="recall", ylabel="precision")
    if left.get_legend_handles_labels()[1]:
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    for axes in (left, right):
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    return figure


def draw_curves_of(axes: Axes, curves: pd.DataFrame, x: str, y: str, sizes: dict[str, int], steps: str) -> None:
    """Draw each split's curve; of many classes their mean, and as thin lines those of the hardest classes."""
    for split in SHOWN:
        of_split = curves[curves["split"] == split]
        style = {key: value for key, value in LINES[split].items() if not key.startswith("marker")}
        style["drawstyle"] = steps
        for i, (name, rows) in enumerate(of_split.groupby("class", sort=False)):
            if i == 0:
                kind = name if len(curves["class"].unique()) > 1 else f"class {shortened(name)}"
                label = f"{split}, {sizes[split]} images ({kind})"
                axes.plot(rows[x], rows[y], label=label, linewidth=2, **style)
            else:
                axes.plot(rows[x], rows[y], linewidth=0.6, alpha=0.5, **style)
    if curves["class"].nunique() > 1:
        axes.plot([], [], color=GREY, linewidth=0.6, label="thin: the hardest classes")
    if curves.empty:
        axes.text(0.5, 0.5, "a single class: no curve", ha="center", va="center")
