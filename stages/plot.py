"""Draw the homework's figures from what the other stages measured.

Figure 1, problem 1's computational graph; figure 2, the curves of loss and accuracy; and the confusion
of each split. Reads plots/history.csv, plots/predictions.csv and data/prepared/classes.json, writes
PNG files under plots/; the same input gives the same bytes.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.ticker import MaxNLocator
from sklearn.metrics import confusion_matrix

from plumbline import params
from plumbline.errors import run
from plumbline.outputs import whole_file
from plumbline.prepared import read_classes

HISTORY = Path("plots/history.csv")
PREDICTIONS = Path("plots/predictions.csv")
LOSS = Path("plots/loss.png")
ACCURACY = Path("plots/accuracy.png")
GRAPH = Path("plots/computational_graph.png")
CONFUSION = Path("plots/confusion.png")

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.parse_math": False,  # a class may be called "$"
    "savefig.dpi": 150,
}
# Wong 2011, "Points of view: Color blindness"; told apart by line and marker too, for black and white.
TRAIN = {"color": "#0072B2", "linestyle": "-", "marker": "o", "markersize": 4}
VAL = {"color": "#D55E00", "linestyle": "--", "marker": "s", "markersize": 4}
FORWARD, BACKWARD = "#0072B2", "#D55E00"

SPLITS = ("train", "val", "test")
MOST_CELLS_IN_NUMBERS = 15  # classes; beyond, the numbers would not fit their cells
MOST_NAMES = 30  # class names on an axis
LONGEST_NAME = 20  # characters


def draw_curves(history: pd.DataFrame, sizes: dict[str, int], quantity: str, unit: str) -> Figure:
    """Return figure 2: a quantity of the train and the val phase over the epochs."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for split, style in (("train", TRAIN), ("val", VAL)):
        axes.plot(history["epoch"], history[f"{split}_{quantity}"], label=f"{split}, {sizes[split]} images", **style)
    axes.set(title=f"{quantity.capitalize()} per epoch", xlabel="epoch", ylabel=f"{quantity} {unit}")
    axes.set_ylim(bottom=0, top=1.02 if quantity == "accuracy" else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")
    return figure


def draw_confusion(predictions: pd.DataFrame, classes: list[str]) -> Figure:
    """Return one panel a split: how many images of each actual class were predicted as each class."""
    splits = [split for split in SPLITS if (predictions["split"] == split).any()]
    figure = Figure(figsize=(1 + 3.2 * len(splits), 3.8), layout="constrained")
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


def shortened(name: str) -> str:
    """Return a class name that fits beside an axis."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"


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


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    with whole_file(path) as partial:
        figure.savefig(partial, metadata={"Software": None})


def main() -> None:
    params.load()  # nothing in it is used here, but a mistake in it ends every stage
    mpl.rcParams.update(STYLE)
    classes = read_classes()
    history = pd.read_csv(HISTORY)
    text = {"split": str, "path": str, "actual": str, "predicted": str}
    predictions = pd.read_csv(PREDICTIONS, dtype=text, keep_default_na=False)
    sizes = predictions["split"].value_counts().to_dict()
    save(draw_graph(), GRAPH)
    save(draw_curves(history, sizes, "loss", "(cross-entropy, nats)"), LOSS)
    save(draw_curves(history, sizes, "accuracy", "(fraction right)"), ACCURACY)
    save(draw_confusion(predictions, classes), CONFUSION)


if __name__ == "__main__":
    run(main)
