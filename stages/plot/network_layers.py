"""Where a network multiplies, and where it keeps its parameters: layer by layer, from the image to the classes."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from plumbline.presentation.figure_style import BLUE, ORANGE

MOST_LAYERS_BY_NAME = 60


def draw_network_layers(layers: pd.DataFrame, architecture: str) -> Figure:
    """Return two panels for plots/network_layers.csv: multiply-adds, and parameters, of each layer."""
    named = len(layers) <= MOST_LAYERS_BY_NAME
    figure = Figure(figsize=(max(6.4, min(0.24 * len(layers), 14)), 5.6 if named else 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_bars(upper, layers["macs"], "multiply-adds", {"color": BLUE})
    draw_bars(lower, layers["parameters"], "parameters", {"color": ORANGE, "hatch": "////", "edgecolor": "white"})
    upper.set_title(f"{architecture}: {layers['macs'].sum():,} multiply-adds an image in {len(layers)} layers")
    lower.set_title(f"{layers['parameters'].sum():,} parameters in them")
    if named:
        lower.set_xticks(range(len(layers)), layers["layer"], rotation=90, fontsize=7)
    else:
        lower.set_xlabel("layer, counted from the image")
    return figure


def draw_bars(axes: Axes, values: pd.Series, unit: str, style: dict[str, str]) -> None:
    """Draw one bar a layer, in the network's order."""
    axes.bar(range(len(values)), values, linewidth=0, **style)
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.01)
    axes.yaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.set_ylabel(unit)
