"""Figures of problems 1 to 3: cost of the backward pass, layers of the network, weight decay, learning rate."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, NullFormatter, NullLocator

from plumbline.presentation.figure_style import BLUE, GREY, ORANGE, VERMILION

COST_RATIO_STYLES = (
    {"color": VERMILION, "linestyle": "--", "marker": "s", "markersize": 4},
    {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4},
)
WEIGHT_DECAY_STYLES = (
    {"color": BLUE, "linestyle": "-", "marker": "o"},
    {"color": GREY, "linestyle": ":", "marker": "D"},
    {"color": VERMILION, "linestyle": "--", "marker": "s"},
)
MOST_LAYERS_BY_NAME = 60
STEP_SIZE_MARGIN = 8  # times, on either side of the axis


def draw_cost_ratio(ratios: pd.DataFrame) -> Figure:
    """Return the figure for plots/cost_ratio.csv: backward over forward, with and without the input's gradient."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, rows), style in zip(ratios.groupby("backward_pass", sort=True), COST_RATIO_STYLES, strict=True):
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


def draw_network_layers(layers: pd.DataFrame, architecture: str) -> Figure:
    """Return two panels for plots/network_layers.csv: multiply-adds, and parameters, of each layer."""
    named = len(layers) <= MOST_LAYERS_BY_NAME
    figure = Figure(figsize=(max(6.4, min(0.24 * len(layers), 14)), 5.6 if named else 4.6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    draw_bars(upper, layers["macs"], "multiply-adds", {"color": BLUE})
    draw_bars(lower, layers["parameters"], "parameters", {"color": ORANGE, "hatch": "////", "edgecolor": "white"})
    upper.set_title(f"{architecture}: {layers['macs'].sum():,} multiply-adds an image in {len(layers)} layers")
    lower.set_title(f"{layers['parameters'].sum():,} parameters in them, those of normalisation not included")
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


def draw_weight_decay(trajectories: pd.DataFrame) -> Figure:
    """Return the figure for plots/weight_decay.csv: a weight's absolute value over the steps, for each step size."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for (name, rows), style in zip(trajectories.groupby("step_size", sort=False), WEIGHT_DECAY_STYLES, strict=True):
        axes.plot(rows["step"], rows["weight"].abs(), label=name, markersize=3, linewidth=1, **style)
    of_all = trajectories.iloc[0]
    named = ", ".join(f"{symbol} = {of_all[name]:g}" for name, symbol in (("mu", "μ"), ("lambda", "λ"), ("beta", "β")))
    axes.set_yscale("log")
    axes.set(title=f"A weight on a quadratic loss, {named}, by step size", xlabel="step", ylabel="|w|")
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    figure.legend(loc="outside lower center", ncols=len(WEIGHT_DECAY_STYLES))
    return figure


def draw_step_size(lr: float, limits: dict[str, tuple[float, float]]) -> Figure:
    """Return the figure of the learning rate on a logarithmic axis, with the limits by name, each from and to."""
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    ends = [lr, *(end for limit in limits.values() for end in limit)]
    low, high = min(ends) / STEP_SIZE_MARGIN, max(ends) * STEP_SIZE_MARGIN
    axes.set(xscale="log", xlim=(low, high), ylim=(-0.9, 1.6), xlabel="learning rate")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    if "stable" in limits:
        axes.axvspan(low, min(least for least, _ in limits.values()), color=BLUE, alpha=0.08, linewidth=0)
    axes.plot([lr], [0], marker="o", markersize=9, color=BLUE)
    axes.text(lr, 0.3, f"this run\n{lr:g}", ha="center", va="bottom")
    for i, (name, (least, largest)) in enumerate(limits.items()):
        color, line = (VERMILION, GREY)[i % 2], ("--", ":")[i % 2]
        axes.axvline(least, color=color, linestyle=line)
        axes.axvspan(least, largest, color=color, alpha=0.12, linewidth=0)
        shown = f"{least:.2g}" if least == largest else f"{least:.2g} to {largest:.2g}"
        beside = {"xytext": (4, 0), "textcoords": "offset points", "ha": "left", "va": "top"}
        axes.annotate(f"{name}\n{shown}", (least, 1.5), color=color, **beside)
    explanation = "stable in the blue range" if "stable" in limits else "the largest stable one is not known"
    axes.set_title(f"The learning rate of this run; {explanation}")
    return figure
