"""Typeset formulas: LaTeX as MathML, symbols in sentences as HTML, and the font for formulas inside the page.

Not every system has a font with roots, so the page has its own: STIX Two Math (SIL Open Font License 1.1), as the
ziamath package carries it, reduced to what the formulas need.
"""

import base64
import io
import re
from importlib.metadata import distribution

from fontTools import subset
from fontTools.ttLib import TTFont
from latex2mathml.converter import convert
from markupsafe import Markup, escape

WORD = re.compile(r"(?<![\\A-Za-z])([A-Za-z]{3,})")  # a word, not a product of letters and not a command
FONT = "ziamath/fonts/STIXTwoMath-Regular.ttf"
# Browsers set single letters in the mathematical italics: Latin, Greek, and h, whose code stands apart.
ITALICS = [*range(0x1D434, 0x1D468), *range(0x1D6E2, 0x1D71C), 0x210E]
LATIN = range(0x20, 0x7F)
GREEK = {
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "beta": "\N{GREEK SMALL LETTER BETA}",
    "epsilon": "\N{GREEK SMALL LETTER EPSILON}",
    "lambda": "\N{GREEK SMALL LETTER LAMDA}",
    "mu": "\N{GREEK SMALL LETTER MU}",
    "rho": "\N{GREEK SMALL LETTER RHO}",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
}
ROOT = ord("\N{SQUARE ROOT}")  # the browser draws it for <msqrt>, where it stands in no text
# Where latex2mathml's MathML is drawn badly: it raises a prime, whose glyph is raised already; and its hat, the ASCII
# circumflex, crosses the letter, and stretches: Chromium leaves out a stretched hat where it falls between two pixels.
RAISED_PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mi>&#x02032;</mi></msup>")
WIDE_SPACE = re.compile(r"\\q?quad")
ARROW = re.compile(r"\\q?quad\s*(\\(?:Rightarrow|Leftrightarrow))\s*\\q?quad")  # it stays with what follows it
PRIME = r'<mrow>\1<mo lspace="0" rspace="0">&#x02032;</mo></mrow>'
ASCII_HAT, HAT = "<mo>&#x0005E;</mo>", '<mo stretchy="false">&#x002C6;</mo>'
SIGN = re.compile(r"(?<=&#x00028;</mo>)<mo>&#x02212;</mo>")  # a minus after a bracket is no operation
LONG_NUMBER = re.compile(r"(?<=<mn>)\d{4,}(?=</mn>)")
MINUS, SPACE = "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"
IN_SENTENCES = [  # what the derivations write in ASCII, as the formulas have it; in this order
    (r"\bdL/d(?=\w)", "\N{PARTIAL DIFFERENTIAL}L/\N{PARTIAL DIFFERENTIAL}"),
    (r"\by_hat\b", "\N{LATIN SMALL LETTER Y WITH CIRCUMFLEX}"),
    *((rf"\b{name}(?=\d?\b)", character) for name, character in GREEK.items()),
    (r"\bsqrt\((\w+)\)", "\N{SQUARE ROOT}\\1"),
    (r"\b(W|k|\N{GREEK SMALL LETTER RHO}|\N{GREEK SMALL LETTER BETA})([12])\b", r"\1<sub>\2</sub>"),
    (r"(?<=\bt)-(?=1)", MINUS),
    (r"(\b[uvw]|\))_(?:\(([^)]*)\)|(\w{1,2})\b)", r"\1<sub>\2\3</sub>"),
    (r"\^\(([^)]*)\)|\^(\w)", r"<sup>\1\2</sup>"),
    (r"(?:(?<![\w)])|(?<=\de))-(?=\d)", MINUS),
    (r" - ", f"{SPACE}{MINUS} "),
    (r"(?<=[\d)]) x (?=[\d(])", f"{SPACE}\N{MULTIPLICATION SIGN} "),
    (r"&lt;=", "\N{LESS-THAN OR EQUAL TO}"),
    (r"&gt;=", "\N{GREATER-THAN OR EQUAL TO}"),
    (r"\((?:\w+, )+\w+\)", lambda shape: shape[0].replace(" ", SPACE)),
]


def mathml(latex: str) -> Markup:
    """Return a formula as MathML, with words upright. The formula is trusted: it is not escaped.

    Statements that a wide space parts are elements of their own, so that a narrow page can put each on a line.
    """
    statements = WIDE_SPACE.split(ARROW.sub(r"\\quad\1\\;", WORD.sub(r"\\mathrm{\1}", latex)))
    converted = "".join(convert(statement, display="block") for statement in statements)
    converted = SIGN.sub('<mo form="prefix">&#x02212;</mo>', RAISED_PRIME.sub(PRIME, converted).replace(ASCII_HAT, HAT))
    return Markup(LONG_NUMBER.sub(lambda number: f"{int(number[0]):,}", converted))


def typeset(sentence: str) -> Markup:
    """Return a sentence of a derivation as HTML, its symbols as in the formulas: W1 with an index, lambda as a letter.

    A shape such as (n, h), and a difference, stay on one line.
    """
    html = str(escape(sentence))
    for pattern, replacement in IN_SENTENCES:
        html = re.sub(pattern, replacement, html)
    return Markup(html)


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
