"""The font of the page's formulas, inside the page: a browser without one draws no roots and no hats.

STIX Two Math (SIL Open Font License 1.1), as the ziamath package carries it, cut down to what the formulas need.
"""

import base64
import io
from importlib.metadata import distribution

from fontTools import subset
from fontTools.ttLib import TTFont

FONT = "ziamath/fonts/STIXTwoMath-Regular.ttf"
# A browser sets single letters in the mathematical italics: Latin, Greek, and the one that stands elsewhere, h.
ITALICS = [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x210E]
LATIN = range(0x20, 0x7F)


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
