"""Figure 2, loss and accuracy of both phases over the epochs; and the learning rate over the epochs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from plumbline.presentation.figure_style import BLUE, LINES
from plumbline.results.training_history import begins_with_probe, rows_of_epochs


def draw_curves(history: pd.DataFrame, sizes: dict[str, int], quantity: str, unit: str) -> Figure:
    """Return figure 2: a quantity of the train and the val phase over the epochs; at -1 that of the probe's head."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for split in ("train", "val"):
        values = history[f"{split}_{quantity}"]
        axes.plot(history["epoch"], values, label=f"{split}, {sizes[split]} images", **LINES[split])
    epoch = "epoch (-1: the linear probe)" if begins_with_probe(history) else "epoch"
    axes.set(title=f"{quantity.capitalize()} per epoch", xlabel=epoch, ylabel=f"{quantity} {unit}")
    axes.set_ylim(bottom=0, top=1.02 if quantity == "accuracy" else None)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(loc="best")
    return figure


def draw_learning_rate(history: pd.DataFrame) -> Figure:
    """Return the figure of the learning rate over the epochs, that of each epoch's last update."""
    figure = Figure(figsize=(6.4, 3), layout="constrained")
    axes = figure.subplots()
    epochs = rows_of_epochs(history)
    axes.plot(epochs["epoch"], epochs["learning_rate"], color=BLUE, marker="o", markersize=4)
    axes.set(title="Learning rate at each epoch's last update", xlabel="epoch", ylabel="learning rate")
    axes.set_ylim(bottom=0, top=1.1 * epochs["learning_rate"].max() if len(epochs) else 1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
