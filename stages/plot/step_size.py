"""Where the run's learning rate stands, against the largest step sizes that are stable and that keep the sign."""

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from plumbline.presentation.figure_style import BLUE, GREY, VERMILION

MARGIN = 8  # times, to either side


def draw_step_size(lr: float, limits: dict[str, float]) -> Figure:
    """Return the figure: the learning rate on a logarithmic line, with the limits by name that hold for the run."""
    figure = Figure(figsize=(6.4, 2.4), layout="constrained")
    axes = figure.subplots()
    low, high = min([lr, *limits.values()]) / MARGIN, max([lr, *limits.values()]) * MARGIN
    axes.set(xscale="log", xlim=(low, high), ylim=(-0.9, 1.6), xlabel="learning rate")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_locator(NullLocator())
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.axvspan(low, min(limits.values(), default=high), color=BLUE, alpha=0.08, linewidth=0)
    axes.plot([lr], [0], marker="o", markersize=9, color=BLUE)
    axes.text(lr, 0.3, f"this run\n{lr:g}", ha="center", va="bottom")
    for i, (name, limit) in enumerate(limits.items()):
        axes.axvline(limit, color=(VERMILION, GREY)[i % 2], linestyle=("--", ":")[i % 2])
        axes.text(limit, 1.5, f" {name}\n {limit:.3g}", ha="left", va="top", color=(VERMILION, GREY)[i % 2])
    told = "stable where it is shaded" if limits else "no limit is known: SGD without frozen layers has one"
    axes.set_title(f"Where the learning rate stands; {told}")
    return figure
