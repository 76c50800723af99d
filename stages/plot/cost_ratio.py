"""Problem 1's "roughly 2 times": what the backward pass costs, over the width of the layers."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from plumbline.presentation.figure_style import BLUE, GREY, VERMILION

STYLES = (
    {"color": VERMILION, "linestyle": "--", "marker": "s", "markersize": 4},
    {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4},
)


def draw_cost_ratio(ratios: pd.DataFrame) -> Figure:
    """Return the figure for plots/cost_ratio.csv: backward over forward, with the input's gradient or without."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, rows), style in zip(ratios.groupby("backward_pass", sort=True), STYLES, strict=True):
        axes.plot(rows["outputs_per_input"], rows["ratio"], label=name, **style)
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}" if value >= 1 else f"1/{1 / value:g}"))
    for bound in (1, 2):
        axes.axhline(bound, color=GREY, linewidth=0.8)
    axes.set(
        title="Cost of the backward pass, relative to the forward pass",
        xlabel="outputs o per input d",
        ylabel="multiply-adds, backward / forward",
        ylim=(0.9, 2.1),
    )
    axes.legend(loc="center right")
    return figure
