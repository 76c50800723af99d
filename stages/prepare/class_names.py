"""Compare names as a person reads them.

Unicode spells some letters in two ways, as one character or as a letter with an accent, which macOS often writes.
Such names are one name. Names that only look alike, such as `Cat` and `cat`, are refused, with the difference.
"""

import difflib
import re
import unicodedata
from collections.abc import Callable, Collection

from plumbline.run.errors import UserError

# Cyrillic and Greek letters that look like Latin ones. Source: Unicode Technical Standard 39, confusables.txt.
LATIN = str.maketrans(
    "асеоруһіјԛѕԝхАВСЕНІЈКМОРԚЅТԜХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧοϳ", "aceopyhijqswxABCEHIJKMOPQSTWXYABEZHIKMNOPTYXoj"
)


def canonical(name: str) -> str:
    """Return the name in Unicode's composed form, NFC."""
    return unicodedata.normalize("NFC", name)


def without_invisible(name: str) -> str:
    return "".join(c for c in name if unicodedata.category(c) not in ("Cc", "Cf"))


def single_spaced(name: str) -> str:
    return " ".join(name.split())


def space_joined(name: str) -> str:
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", name)


def latin(name: str) -> str:
    return unicodedata.normalize("NFKC", name).translate(LATIN)


DIFFERENCES: dict[str, Callable[[str], str]] = {
    "upper and lower case": str.lower,
    "spaces": single_spaced,
    "invisible characters": without_invisible,
    "letters that look alike": latin,
    "spaces, hyphens and underscores": space_joined,
}


def appearance(name: str) -> str:
    """Return the same text for all names that a person would take for one."""
    for change in (latin, without_invisible, single_spaced, space_joined, str.lower):
        name = change(name)
    return name


def difference(first: str, second: str) -> str:
    """Return what makes two names different that a person would take for one."""
    for what, change in DIFFERENCES.items():
        if change(first) == change(second):
            return what
    return f"how they are written, {first!a} and {second!a}"


def refuse_look_alikes(folders: dict[str, str], classes: Collection[str], what: str = "class folders") -> None:
    """Raise UserError if a class looks like another one. `folders` has each folder's path by its class name."""
    seen: dict[str, str] = {}
    kept_first = sorted(folders, key=lambda name: name not in classes)
    for name in kept_first:
        first = seen.setdefault(appearance(name), name)
        if first != name and first in classes:
            raise UserError(
                f"the {what} {folders[first]!r} and {folders[name]!r} differ only in {difference(first, name)}: "
                "give both the same name, or names that differ more"
            )


def nearest(name: str, names: Collection[str], otherwise: str) -> str:
    """Return a hint with the name that was probably meant, or `otherwise`."""
    alike = [other for other in names if appearance(other) == appearance(name)]
    if alike:
        return f"did you mean {alike[0]!r}, which differs only in {difference(name, alike[0])}?"
    close = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else otherwise
