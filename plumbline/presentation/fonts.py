"""Fonts of this machine for what matplotlib's own font lacks, such as class names in Chinese."""

import sys
import unicodedata

import matplotlib as mpl
from matplotlib.font_manager import fontManager
from matplotlib.ft2font import FT2Font

DEFAULT_FONT = "DejaVu Sans"  # comes with matplotlib
LAST_RESORT = "Last Resort"  # has a box for every character
REGULAR = (400, "normal", "regular", "book")


def characters_of(path: str) -> set[str]:
    """Return the characters that a font file can draw; none for a file that is no such font."""
    try:
        return {chr(code) for code in FT2Font(path).get_charmap()}
    except (OSError, RuntimeError):
        return set()


def families_for(text: str) -> list[str]:
    """Return the font families that draw the text: matplotlib's own, and as few others as have what it lacks.

    Characters that no font on this machine has are named in one line.
    """
    default_path = next(font.fname for font in fontManager.ttflist if font.name == DEFAULT_FONT)
    missing = {each for each in text if unicodedata.category(each) not in ("Cc", "Cf")} - characters_of(default_path)
    if not missing:
        return list(mpl.rcParams["font.family"])
    known: dict[str, set[str]] = {}
    for font in fontManager.ttflist:
        if font.style == "normal" and font.weight in REGULAR and not font.name.startswith(LAST_RESORT):
            known.setdefault(font.name, set()).update(characters_of(font.fname) & missing)
    families = [DEFAULT_FONT]
    while known and missing:
        best = min(known, key=lambda name: (-len(known[name] & missing), "Sans" not in name, name))
        if not known[best] & missing:
            print(
                f"no font on this machine has {''.join(sorted(missing))}: the figures under plots/ show boxes in their "
                "place; install a font that has them, such as one of Noto's (the report uses its reader's fonts)",
                file=sys.stderr,
            )
            break
        families.append(best)
        missing -= known[best]
    return families
