"""The audit of the data: images by class and split, their sizes, what was not used and what was noted."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from plumbline.presentation.figure_style import GREY, LINES, MOST_NAMES, PURPLE, SPLITS, shortened

HATCHES = {"train": {}, "val": {"hatch": "////", "edgecolor": "white"}, "test": {"hatch": "....", "edgecolor": "white"}}
SPLIT_STYLES = {split: {"color": LINES[split]["color"]} | hatch for split, hatch in HATCHES.items()}
FEWEST_BARS = 4  # a panel has room for as many, so that a single bar does not fill it

# What data/audit/counts.csv counts among the images that are used, in words.
NOTED = {
    "turned_by_orientation": "turned, as EXIF says",
    "animated": "animated, first frame used",
    "named_as_another_format": "named as another format",
    "copies_within_a_split": "copies within a split",
    "rare_format_images": "of a rare format",
    "plain_images": "plain",
    "mostly_cut_off_images": "mostly cut off",
    "mostly_padding_images": "mostly padding",
    "much_stretched_images": "much stretched",
}


def draw_data_audit(
    manifest: pd.DataFrame, images: pd.DataFrame, quarantine: pd.DataFrame, counts: dict[str, int]
) -> Figure:
    """Return four panels, from the manifest and the audit's tables, less those that would show nothing."""
    classes = manifest.drop_duplicates("label").sort_values("label")["class"].tolist()
    rows = min(len(classes), MOST_NAMES)
    reasons = quarantine["reason"].value_counts()
    worth = {
        "classes": True,
        "sizes": images.groupby(["width", "height"]).ngroups > 1,
        "unused": len(quarantine) > 0,
        "noted": counts["noted"] > 0,
    }
    grid = [[name for name in row if worth[name]] for row in (("classes", "sizes"), ("unused", "noted"))]
    shown = [row for row in grid if row]
    heights = [3.2 + 0.14 * max(rows - 8, 0), 3.1][: len(shown)]
    figure = Figure(figsize=(12 if max(map(len, shown)) > 1 else 8, sum(heights)), layout="constrained")
    panels = figure.subplot_mosaic([row * (2 // len(row)) for row in shown], height_ratios=heights)
    by_class = panels["classes"]
    draw_classes(by_class, pd.crosstab(manifest["class"], manifest["split"]).reindex(classes))
    if "sizes" in panels:
        draw_sizes(panels["sizes"], images)
    if "unused" in panels:
        draw_tally(panels["unused"], {str(reason): int(reasons[reason]) for reason in reasons.index}, GREY)
        panels["unused"].set_title(f"Not used: {len(quarantine)} files")
    if "noted" in panels:
        draw_tally(
            panels["noted"], {words: int(counts[key]) for key, words in NOTED.items() if counts.get(key)}, PURPLE
        )
        panels["noted"].set_title(f"Noted: {counts['noted']} of {len(manifest)} used images")
    figure.legend(*by_class.get_legend_handles_labels(), loc="outside upper left", ncols=len(SPLITS))
    return figure


def draw_classes(axes: Axes, counts: pd.DataFrame) -> None:
    """Draw one bar a class, stacked by split; of many classes, those with the fewest images."""
    shown = counts
    if len(counts) > MOST_NAMES:
        fewest = counts.sum(axis=1).sort_values(kind="stable").index[:MOST_NAMES]
        shown = counts.loc[counts.index.isin(fewest)]
    rows = np.arange(len(shown))
    left = np.zeros(len(shown))
    for split in (split for split in SPLITS if split in counts):
        label = f"{split}, {counts[split].sum()} images"
        axes.barh(rows, shown[split], left=left, label=label, linewidth=0, **SPLIT_STYLES[split])
        left += shown[split].to_numpy()
    axes.set_yticks(rows, [shortened(name) for name in shown.index])
    limit_bars(axes, len(shown))
    axes.grid(visible=False, axis="y")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    left_out = len(counts) - len(shown)
    title = f"Images by class: the {len(shown)} smallest of {len(counts)}" if left_out else "Images by class"
    axes.set(title=title, xlabel="images", ylabel="class")


def draw_sizes(axes: Axes, images: pd.DataFrame) -> None:
    """Draw the images' sizes as stored, one circle a size, its area the number of images that have it."""
    sizes = images.groupby(["width", "height"]).size().reset_index(name="images")
    areas = 6 + 400 * sizes["images"] / len(images)
    axes.scatter(sizes["width"], sizes["height"], s=areas, color=GREY, alpha=0.5, linewidth=0)
    axes.set(xscale="log", yscale="log", xlabel="width (pixels)", ylabel="height (pixels)")
    for axis, values in ((axes.xaxis, sizes["width"]), (axes.yaxis, sizes["height"])):
        axis.set_view_interval(values.min() / 2, values.max() * 2, ignore=True)
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    most = sizes.loc[sizes["images"].idxmax()]
    axes.set_title(f"Sizes, most often {most['width']} x {most['height']} ({most['images']} images)")


def draw_tally(axes: Axes, counts: dict[str, int], color: str) -> None:
    """Draw one bar a kind with its count."""
    axes.set_xlabel("files")
    axes.grid(visible=False, axis="y")
    bars = axes.barh(list(counts), list(counts.values()), color=color, height=0.6)
    axes.bar_label(bars, padding=3)
    limit_bars(axes, len(counts))
    axes.margins(x=0.1)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))


def limit_bars(axes: Axes, bars: int) -> None:
    """Show the first of these bars on top; a few stand in the middle of the panel."""
    spare = max(FEWEST_BARS - bars, 0) / 2
    axes.set_ylim(bars - 0.5 + spare, -0.5 - spare)
