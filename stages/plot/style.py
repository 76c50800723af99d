"""What all figures share: their style, how they name classes, how they are written."""

from pathlib import Path

from matplotlib.figure import Figure

from plumbline.outputs import whole_file

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
SPLITS = ("train", "val", "test")
MOST_NAMES = 30  # class names on an axis
LONGEST_NAME = 20  # characters


def shortened(name: str) -> str:
    """Return a class name that fits beside an axis; names often differ only at one of their ends."""
    if len(name) <= LONGEST_NAME:
        return name
    end = LONGEST_NAME // 2
    return f"{name[: LONGEST_NAME - end - 1]}…{name[-end:]}"


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG."""
    with whole_file(path) as partial:
        figure.savefig(partial, metadata={"Software": None})
