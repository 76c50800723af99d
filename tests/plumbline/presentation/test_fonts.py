"""A character that matplotlib's font lacks is drawn by a font of the machine that has it: here by one made for the test."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager
from PIL import Image

from plumbline.presentation.figure_style import STYLE, save
from plumbline.presentation.fonts import families_for

ONLY_HERE, AND_HERE = "\U000f1234", "\U000f1235"  # for private use: no font has them but those made here


def square_font(path: Path, characters: str, family: str) -> None:
    """Write a font in which each of these characters is a black square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    empty, square = TTGlyphPen(None).glyph(), pen.glyph()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "square"])
    font.setupCharacterMap({ord(each): "square" for each in characters})
    font.setupGlyf({".notdef": empty, "square": square})
    font.setupHorizontalMetrics({".notdef": (1000, 0), "square": (800, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2(usWeightClass=400)
    font.setupPost()
    font.save(path)


@pytest.fixture
def fonts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))


def drawn(text: str, path: Path) -> np.ndarray:
    """Return the pixels of a figure with nothing but the text, in grey."""
    with mpl.rc_context(STYLE | {"font.family": families_for(text)}):
        figure = Figure(figsize=(2, 1))
        figure.text(0.3, 0.3, text, fontsize=40)
        save(figure, path)
    with Image.open(path) as image:
        return np.asarray(image.convert("L"))


def black_box(pixels: np.ndarray) -> np.ndarray:
    """Return what lies within the outermost rows and columns that hold black."""
    rows, columns = np.nonzero(pixels < 64)
    return pixels[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def test_a_font_that_has_the_character_draws_it(
    fonts_of_its_own: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    square_font(tmp_path / "square.ttf", ONLY_HERE, "Only Here")
    fontManager.addfont(tmp_path / "square.ttf")
    box = black_box(drawn(ONLY_HERE, tmp_path / "figure.png"))
    height, width = box.shape
    assert box.mean() < 16
    assert height == pytest.approx(width, abs=2)  # a full square
    assert capsys.readouterr().err == ""


def test_what_no_font_has_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    box = black_box(drawn(ONLY_HERE, tmp_path / "figure.png"))
    assert box.mean() > 64
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith(f"no font on this machine has {ONLY_HERE}: ")


@pytest.mark.parametrize("text", ["bee", "naïve Ωλ Жук", "קול", "$<b>\\", "a\tb\n\u200e"])
def test_for_names_that_matplotlibs_font_has_nothing_changes(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert families_for(text) == mpl.rcParams["font.family"]
    assert capsys.readouterr().err == ""


def test_one_font_is_taken_where_one_has_all_and_one_without_serifs_before_others(
    fonts_of_its_own: None, tmp_path: Path
) -> None:
    for family, characters in {"One": ONLY_HERE, "Sans": ONLY_HERE, "All": ONLY_HERE + AND_HERE}.items():
        square_font(tmp_path / f"{family}.ttf", characters, family)
        fontManager.addfont(tmp_path / f"{family}.ttf")
    assert families_for(ONLY_HERE) == ["DejaVu Sans", "Sans"]
    assert families_for(AND_HERE + ONLY_HERE) == ["DejaVu Sans", "All"]
