"""Typeset formulas: LaTeX as MathML, and the font for it inside the page, as not every system has a font with roots.

STIX Two Math (SIL Open Font License 1.1), as the ziamath package carries it, reduced to what the formulas need.
"""

import base64
import io
import re
from importlib.metadata import distribution

from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert
from markupsafe import Markup

WORD = re.compile(r"(?<![\\A-Za-z])([A-Za-z]{3,})")  # a word, not a product of letters and not a command
FONT = "ziamath/fonts/STIXTwoMath-Regular.ttf"
# Browsers set single letters in the mathematical italics: Latin, Greek, and h, whose code stands apart.
ITALICS = [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x210E]
LATIN = range(0x20, 0x7F)
ROOT = ord("\N{SQUARE ROOT}")  # the browser draws it for <msqrt>, where it stands in no text
# Where latex2mathml's MathML is drawn badly: it raises a prime, whose glyph is raised already; and its hat, the ASCII
# circumflex, crosses the letter, and stretches: Chromium leaves out a stretched hat where it falls between two pixels.
RAISED_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")
WIDE_SPACE = re.compile(r"\\q?quad")
ARROW = re.compile(r"\\q?quad\s*(\\(?:Rightarrow|Leftrightarrow))\s*\\q?quad")  # it stays with what follows it
PRIME = r'<mrow>\1<mo lspace="0" rspace="0">&#x02032;</mo></mrow>'
ASCII_HAT, HAT = "<mo>&#x0005E;</mo>", '<mo stretchy="false">&#x002C6;</mo>'


def mathml(latex: str) -> Markup:
    """Return a formula as MathML, with words upright. The formula is trusted: it is not escaped.

    Statements that a wide space parts are elements of their own, so that a narrow page can put each on a line.
    """
    statements = WIDE_SPACE.split(ARROW.sub(r"\\quad\1\\;", WORD.sub(r"\\mathrm{\1}", latex)))
    converted = "".join(convert(statement, display="block") for statement in statements)
    return Markup(RAISED_PRIME.sub(PRIME, converted).replace(ASCII_HAT, HAT))


def math_font(text: str) -> str:
    """Return the font for these characters, with their stretched forms, as a data URI in WOFF."""
    font = TTFont(str(distribution("ziamath").locate_file(FONT)), recalcTimestamp=False)
    missing = {character for character in text if ord(character) not in font.getBestCmap()}
    assert not missing, f"the font has no {missing}"
    options = subset.Options(layout_features=["ssty", "dtls", "flac"], notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[*LATIN, *ITALICS, ROOT, *map(ord, text)])
    cutter.subset(font)
    font.flavor = "woff"
    written = io.BytesIO()
    font.save(written)
    return f"data:font/woff;base64,{base64.b64encode(written.getvalue()).decode()}"
