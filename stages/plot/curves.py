"""Figure 2: loss and accuracy of both phases over the epochs."""

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

# Wong 2011, "Points of view: Color blindness"; told apart by line and marker too, for black and white.
TRAIN = {"color": "#0072B2", "linestyle": "-", "marker": "o", "markersize": 4}
VAL = {"color": "#D55E00", "linestyle": "--", "marker": "s", "markersize": 4}


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
