"""Draw the accuracy over the severity, one panel a corruption."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from plumbline.presentation.figure_style import BLUE, GREY, STYLE, save
from tools.robustness.corruptions import CORRUPTIONS
from tools.robustness.results import CLEAN

COLUMNS = 4


def write_figure(path: Path, table: pd.DataFrame, split: str, confidence: float) -> None:
    """Draw plots/robustness.csv into a file; the same table gives the same bytes."""
    with mpl.rc_context(STYLE):
        save(draw(table, split, confidence), path)


def draw(table: pd.DataFrame, split: str, confidence: float) -> Figure:
    """Return the figure: the accuracies with their intervals, from the images as they are, 0, to the severity 5."""
    clean = table[table["corruption"] == CLEAN]
    figure = Figure(figsize=(9.6, 5), layout="constrained")
    panels = figure.subplots(-(-len(CORRUPTIONS) // COLUMNS), COLUMNS, sharex=True, sharey=True)
    for axes, name in zip(panels.flat, CORRUPTIONS, strict=True):
        rows = pd.concat([clean, table[table["corruption"] == name]])
        axes.fill_between(rows["severity"], rows["low"], rows["high"], color=BLUE, alpha=0.2, linewidth=0)
        axes.plot(rows["severity"], rows["accuracy"], color=BLUE, marker="o", markersize=4)
        axes.axhline(clean["accuracy"].iloc[0], color=GREY, linestyle="--", linewidth=0.8)
        axes.set(title=name.replace("_", " "), ylim=(-0.03, 1.03), xticks=rows["severity"])
    for axes in panels[-1]:
        axes.set_xlabel("severity")
    for axes in panels[:, 0]:
        axes.set_ylabel("accuracy (fraction right)")
    images = clean["images"].iloc[0]
    title = f"{images} {split} images, {confidence:.0%} intervals; dashed: the images as they are"
    figure.suptitle(title, fontsize=STYLE["axes.titlesize"], x=0.01, ha="left")
    return figure
