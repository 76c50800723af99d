"""Find the ink of each operator of each formula on a page, by pixels."""

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image
from playwright.sync_api import Page

INK = 208  # of 255; thin strokes are grey at their edges

# Draws the operators alone, and returns where they are. Of a root that is the part before what stands under it. A
# fence's neighbour is what it encloses.
OPERATORS = """() => {
  const style = document.createElement("style");
  style.textContent = ".formula * { color: transparent !important; background: white !important } "
    + ".formula mo, .formula msqrt { color: black !important }";
  document.head.append(style);
  return [...document.querySelectorAll(".formula mo, .formula msqrt")].map((each) => {
    const box = each.getBoundingClientRect(), root = each.localName === "msqrt";
    const stretched = each.getAttribute("stretchy") === "true";
    const neighbour = each.nextElementSibling || each.previousElementSibling;
    return {
      name: root ? "msqrt" : stretched ? "fence" : each.textContent,
      formula: each.closest("math").textContent,
      left: box.left + scrollX, top: box.top + scrollY, bottom: box.bottom + scrollY,
      right: (root ? each.firstElementChild.getBoundingClientRect().left : box.right) + scrollX,
      height_of_neighbour: stretched ? neighbour.getBoundingClientRect().height : 0,
    };
  });
}"""


@dataclass(frozen=True)
class Operator:
    """An operator of a formula, and how high its ink is, in pixels."""

    name: str  # the character; of a square root "msqrt", of a bracket that stretches "fence"
    formula: str
    ink: int | None
    height_of_neighbour: float  # of a fence


def operators_with_ink(page: Page) -> list[Operator]:
    """Return the operators of all formulas; the page shows nothing else of them from then on."""
    places = page.evaluate(OPERATORS)
    pixels = np.asarray(Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("L"))
    return [
        Operator(place["name"], place["formula"], height_of_ink(pixels, place), place["height_of_neighbour"])
        for place in places
    ]


def height_of_ink(pixels: np.ndarray, place: dict[str, float]) -> int | None:
    """Return how many rows lie between the first and the last pixel with ink of a box, both included."""
    top, bottom, left, right = (round(place[side]) for side in ("top", "bottom", "left", "right"))
    rows = np.flatnonzero((pixels[top : bottom + 1, left : right + 1] < INK).any(axis=1))
    return int(rows[-1] - rows[0] + 1) if len(rows) else None
