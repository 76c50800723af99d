"""The gallery: images that are most wrong, least sure and most sure, and below each its saliency map."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from plumbline.presentation.figure_style import shortened
from plumbline.presentation.percent import percent

MOST_COLUMNS = 8
LONGEST_CLASS = 12  # characters above an image


def draw_gallery(gallery: pd.DataFrame, folder: Path) -> Figure:
    """Return the figure for data/gallery: a pair of rows for each kind, with at most eight images."""
    rows = {row: shown.head(MOST_COLUMNS) for row, shown in gallery.groupby("row", sort=False)}
    columns = max(len(shown) for shown in rows.values())
    figure = Figure(figsize=(1.3 + 1.45 * max(columns, 3), 0.6 + 3.5 * len(rows)), layout="constrained")
    grid = figure.subplots(2 * len(rows), max(columns, 3), squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for r, (row, shown) in enumerate(rows.items()):
        for c, image in enumerate(shown.itertuples()):
            show(grid[2 * r, c], folder / image.image)
            show(grid[2 * r + 1, c], folder / image.saliency)
            grid[2 * r, c].set_title(
                caption(image.actual, image.predicted, image.probability), fontsize=8, loc="center"
            )
        left_out = (gallery["row"] == row).sum() - len(shown)
        grid[2 * r, 0].text(
            -0.08,
            0.5,
            row + (f"\n({left_out} more)" if left_out else ""),
            rotation=90,
            ha="right",
            va="center",
            transform=grid[2 * r, 0].transAxes,
        )
    figure.suptitle(f"{gallery['split'].iloc[0]}: actual, predicted; below, {gallery['method'].iloc[0]}", ha="center")
    return figure


def caption(actual: str, predicted: str, probability: float) -> str:
    """Return the actual and the predicted class, with its probability."""
    names = [shortened(name, LONGEST_CLASS) for name in (actual, predicted)]
    named = names[0] if actual == predicted else f"{names[0]}, not {names[1]}"
    return f"{named}\n{percent(probability)}"


def show(axes: Axes, path: Path) -> None:
    """Show an image file."""
    with Image.open(path) as image:
        axes.imshow(np.asarray(image.convert("RGB")))
