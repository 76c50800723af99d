"""Figure 1: problem 1's computational graph, forward above, gradients below."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

FORWARD, BACKWARD = "#0072B2", "#D55E00"  # Wong 2011


def draw_graph() -> Figure:
    """Return figure 1: problem 1's computational graph, forward above, gradients below."""
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.6, 12.6), ylim=(-1.5, 2.5))
    axes.axis("off")
    values = {"$X$": 0, "$Z$": 3, "$u$": 6, r"$\hat{y}$": 9, "$L$": 12}
    operations = {r"$X W_1$": 1.5, r"$\sigma(Z)$": 4.5, r"$u W_2$": 7.5, r"$\Sigma\,(\hat{y}-y)^2$": 10.5}
    for label, x in values.items():
        draw_node(axes, x, 0, label, "circle")
    for label, x in operations.items():
        draw_node(axes, x, 0, label, "round,pad=0.5")
    for x in np.arange(0, 12, 1.5):
        draw_edge(axes, (x, 0), (x + 1.5, 0), FORWARD, gap=35 if x == 9 else 20)  # the last operation is wide
    for label, x, gradient in (
        ("$W_1$", 1.5, r"$\frac{\partial L}{\partial W_1} = X^T \frac{\partial L}{\partial Z}$"),
        ("$W_2$", 7.5, r"$\frac{\partial L}{\partial W_2} = u^T \frac{\partial L}{\partial \hat{y}}$"),
        ("$y$", 10.5, None),
    ):
        draw_node(axes, x, 1.5, label, "circle")
        draw_edge(axes, (x, 1.5), (x, 0), FORWARD)
        if gradient:
            draw_edge(axes, (x + 0.12, 0), (x + 0.12, 1.5), BACKWARD, bend=0.25)
            axes.text(x + 0.5, 0.8, gradient, va="center", color=BACKWARD, fontsize=13, parse_math=True)
    for start, end, gradient in (
        (12, 9, r"$\frac{\partial L}{\partial \hat{y}} = 2(\hat{y} - y)$"),
        (9, 6, r"$\frac{\partial L}{\partial u} = \frac{\partial L}{\partial \hat{y}} W_2^T$"),
        (6, 3, r"$\frac{\partial L}{\partial Z} = \frac{\partial L}{\partial u} \odot u \odot (1-u)$"),
        (3, 0, r"$\frac{\partial L}{\partial X} = \frac{\partial L}{\partial Z} W_1^T$"),
    ):
        draw_edge(axes, (start, -0.1), (end, -0.1), BACKWARD, bend=-0.28)
        axes.text(
            (start + end) / 2, -1.1, gradient, ha="center", va="center", color=BACKWARD, fontsize=12, parse_math=True
        )
    axes.text(-0.5, 2.2, "solid: forward, equations (0.1) to (0.4)", color=FORWARD)
    axes.text(3.6, 2.2, "dashed: backward, each gradient from the one to its right", color=BACKWARD)
    return figure


def draw_node(axes: Axes, x: float, y: float, label: str, shape: str) -> None:
    """Draw a value (circle) or an operation (box) with its symbol."""
    box = {"boxstyle": shape, "facecolor": "white", "edgecolor": "black"}
    axes.text(x, y, label, ha="center", va="center", fontsize=13, bbox=box, zorder=3, parse_math=True)


def draw_edge(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, *, bend: float = 0, gap: float = 20
) -> None:
    """Draw an arrow between two nodes' centres, ending `gap` points before: solid is forward, dashed backward."""
    arrow = FancyArrowPatch(
        start,
        end,
        arrowstyle="-|>",
        mutation_scale=14,
        shrinkA=20,
        shrinkB=gap,
        color=color,
        linestyle="-" if color == FORWARD else (0, (4, 2)),
        connectionstyle=f"arc3,rad={bend}",
    )
    axes.add_patch(arrow)
