"""Reliability diagrams of each split, before and after temperature scaling."""

import pandas as pd
from matplotlib.figure import Figure

from plumbline.presentation.figure_style import BLUE, GREY, SPLITS, VERMILION

STYLES = {
    "before": {"color": VERMILION, "linestyle": "--", "marker": "s", "markerfacecolor": "none"},
    "after": {"color": BLUE, "linestyle": "-", "marker": "o"},
}


def draw_reliability(reliability: pd.DataFrame, temperature: float) -> Figure:
    """Return one panel a split for plots/reliability.csv: the share that is right over the predicted probability."""
    splits = [split for split in SPLITS if (reliability["split"] == split).any()]
    lowest = max(min(reliability["confidence"].min(), reliability["accuracy"].min(), 0.9) - 0.05, 0.0)
    ends = (lowest, 1 + 0.04 * (1 - lowest))  # room for the points at 1
    styles = {"after": STYLES["after"]} if temperature == 1 else STYLES  # both are the same points
    figure = Figure(figsize=(0.6 + 3.2 * len(splits), 4), layout="constrained")
    for axes, split in zip(figure.subplots(1, len(splits), squeeze=False)[0], splits, strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8)
        of_split = reliability[reliability["split"] == split]
        for which, style in styles.items():
            rows = of_split[of_split["temperature"] == which]
            axes.plot(
                rows["confidence"],
                rows["accuracy"],
                label=f"{which} the temperature",
                markersize=4,
                **style,
            )
        images = of_split.loc[of_split["temperature"] == "after", "images"]
        axes.set(
            title=f"{split}: {images.sum()} images, {len(images)} bin{'s' if len(images) > 1 else ''}",
            xlabel="probability of the predicted class",
            ylabel="share that is right",
            xlim=ends,
            ylim=ends,
            aspect="equal",
        )
    if len(styles) > 1:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=2)
        figure.suptitle(f"temperature {temperature:.3g}", x=0.99, ha="right", fontsize=10)
    return figure
