"""Figures as the page holds them: drawn by the plot stage, inside the page, with their numbers in words."""

import base64
from dataclasses import dataclass
from pathlib import Path

VECTORS = Path("data/figures")
TYPES = {".svg": "image/svg+xml", ".jpg": "image/jpeg"}


@dataclass(frozen=True)
class Figure:
    """An image, what it shows, and in words what is to be seen."""

    source: str  # a data URI
    alt: str
    caption: str
    wide: bool = False  # has more than fits a phone, and is scrolled there


def inlined(path: Path) -> str:
    """Return a file as a data URI."""
    return f"data:{TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def figure(name: str, caption: str, alt: str, *, wide: bool = False) -> Figure:
    """Return the figure of this name."""
    return Figure(inlined(VECTORS / f"{name}.svg"), alt, caption, wide)
