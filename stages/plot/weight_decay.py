"""Problem 3's bound at work: a weight below, at and above the largest stable step size."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from plumbline.presentation.figure_style import BLUE, GREY, VERMILION

STYLES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": GREY, "linestyle": ":", "marker": "D"},
    {"color": VERMILION, "linestyle": "--", "marker": "s"},
)


def draw_weight_decay(trajectories: pd.DataFrame) -> Figure:
    """Return the figure for plots/weight_decay.csv: a weight over the steps, for each step size."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, rows), style in zip(trajectories.groupby("step_size", sort=False), STYLES, strict=True):
        axes.plot(rows["step"], rows["weight"], label=name, markersize=3, linewidth=1, **style)
    axes.set_yscale("symlog", linthresh=1)
    axes.set(
        title="A weight on a curved loss, by step size", xlabel="step", ylabel="weight (linear from -1 to 1, then log)"
    )
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.legend(loc="outside lower center", ncols=len(STYLES))
    return figure
