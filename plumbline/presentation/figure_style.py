"""The style that all figures share: colours, the look of each split, short class names, files without a date."""

import warnings
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from plumbline.run.outputs import whole_file

STYLE = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.grid": True,
    "grid.color": "#e5e5e5",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "text.parse_math": False,  # a class or a parameter's value may be called "$"
    "savefig.dpi": 150,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "plumbline",  # the same names within the file at every run
}
# Wong 2011, "Points of view: Color blindness"; lines are told apart by dash and marker too, for black and white.
BLUE, VERMILION, GREEN, ORANGE = "#0072B2", "#D55E00", "#009E73", "#E69F00"
PURPLE, SKY_BLUE, GREY, BLACK = "#CC79A7", "#56B4E9", "#777777", "#000000"
LINES: dict[str, dict[str, Any]] = {
    "train": {"color": BLUE, "linestyle": "-", "marker": "o", "markersize": 4},
    "val": {"color": VERMILION, "linestyle": "--", "marker": "s", "markersize": 4},
    "test": {"color": GREEN, "linestyle": ":", "marker": "^", "markersize": 4},
}
SPLITS = tuple(LINES)
MOST_NAMES = 30  # class names on an axis
LONGEST_NAME = 20  # characters


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a class name that fits beside an axis; names often differ only at one of their ends."""
    if len(name) <= longest:
        return name
    end = longest // 2
    return f"{name[: longest - end - 1]}…{name[-end:]}"


def save(figure: Figure, path: Path, *, transparent: bool = False) -> None:
    """Write a figure as PNG or SVG, by the path's suffix; the same figure gives the same bytes."""
    warnings.filterwarnings("ignore", "Glyph .* missing from font")  # fonts.py says so in a line
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    with whole_file(path) as partial:
        figure.savefig(partial, metadata=metadata, transparent=transparent)
