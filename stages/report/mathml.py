"""Typeset the derivations' formulas."""

import re

from latex2mathml.converter import convert
from markupsafe import Markup

WORD = re.compile(r"(?<![\\A-Za-z])([A-Za-z]{3,})")  # a word, no product of letters and no command


def mathml(latex: str) -> Markup:
    """Return a formula of our own as MathML, words upright."""
    return Markup(convert(WORD.sub(r"\\mathrm{\1}", latex), display="block"))
