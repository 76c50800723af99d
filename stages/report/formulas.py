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


def mathml(latex: str) -> Markup:
    """Return a formula as MathML, with words upright. The formula is trusted: it is not escaped."""
    return Markup(convert(WORD.sub(r"\\mathrm{\1}", latex), display="block"))


def math_font(text: str) -> str:
    """Return the font for these characters, with their stretched forms, as a data URI in WOFF."""
    font = TTFont(str(distribution("ziamath").locate_file(FONT)), recalcTimestamp=False)
    options = subset.Options(layout_features=["ssty", "dtls", "flac"], notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[*LATIN, *ITALICS, *map(ord, text)])
    cutter.subset(font)
    font.flavor = "woff"
    written = io.BytesIO()
    font.save(written)
    return f"data:font/woff;base64,{base64.b64encode(written.getvalue()).decode()}"
