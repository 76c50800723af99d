"""Find files by paths as people and programs write them.

A path may be relative to the data set, to the table that holds it or to a folder above. It may have either slash, be in
other case or Unicode form than the file's name, lack its suffix, or be an address, such as Label Studio's.
"""

import posixpath
import re
from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from plumbline.images.class_folders import named_as_image
from stages.prepare.class_names import canonical

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://|/data/(upload|local-files)/")
UPLOADED = re.compile(r"[0-9a-f]{8}-")  # what Label Studio puts before the name of an uploaded file


class Files:
    """The files of a data set, to be found by paths as people and programs write them."""

    def __init__(self, paths: dict[str, Path], roots: list[Path]) -> None:
        """`roots` are the absolute paths of the data set, without .. and without the suffix of an archive."""
        self.paths, self.roots = paths, [f"{root.as_posix()}/" for root in roots]

    @cached_property
    def tails(self) -> dict[str, list[str]]:
        """The names by each of their ends, in folded form: a/b/c.jpg by a/b/c.jpg, b/c.jpg and c.jpg."""
        return by_tail({name: folded(name) for name in self.paths})

    @cached_property
    def tails_without_suffix(self) -> dict[str, list[str]]:
        return by_tail(
            {name: without_suffix(folded(name)) for name, path in self.paths.items() if named_as_image(path)}
        )

    def find(self, path: str, folder: str) -> list[str]:
        """Return the files that a path may mean: one, none, or those among which it does not decide.

        `folder` is the absolute path of the table's folder.
        """
        for written in spellings(path):
            wholes = [*self.relative_to_root(written, folder)]
            matches = meant(written, wholes, self.tails) or meant(written, wholes, self.tails_without_suffix)
            if matches:
                return matches
        return []

    def relative_to_root(self, path: str, folder: str) -> Iterator[str]:
        """Yield the path relative to the data set, if it is meant from the table's folder, the root or one above."""
        absolute = posixpath.normpath(posixpath.join(folder, path))
        yield from (absolute.removeprefix(root) for root in self.roots if absolute.startswith(root))
        yield path
        parts = path.split("/")
        for i in range(1, len(parts)):
            above = folded("/".join(["", *parts[:i], ""]))
            if any(folded(root).endswith(above) for root in self.roots):
                yield "/".join(parts[i:])


def meant(written: str, wholes: list[str], tails: dict[str, list[str]]) -> list[str]:
    """Return the files that have one of the whole paths, the first that any has, or else those that end as written."""
    for whole in wholes:
        key = folded(whole)
        exact = [name for name in tails.get(key, ()) if name.count("/") == key.count("/")]
        if exact:
            return as_written(exact, whole)
    return as_written(tails.get(folded(written), []), written)


def by_tail(keys: dict[str, str]) -> dict[str, list[str]]:
    """Return the names by each end of their keys."""
    tails: dict[str, list[str]] = defaultdict(list)
    for name, key in keys.items():
        tails[key].append(name)
        while "/" in key:
            key = key.partition("/")[2]
            tails[key].append(name)
    return tails


def folded(path: str) -> str:
    """Return the same text for all ways to write a path that differ in case or in Unicode form alone."""
    return canonical(path).casefold()


def as_written(names: list[str], path: str) -> list[str]:
    """Return the names that end as the path is written, or else in another Unicode form; all if none does."""
    for form in (str, canonical):
        end = f"/{form(path)}"
        exact = [
            name for name in names if f"/{form(name)}".endswith(end) or without_suffix(f"/{form(name)}").endswith(end)
        ]
        if exact:
            return exact
    return names


def without_suffix(path: str) -> str:
    return posixpath.splitext(path)[0]


def spellings(path: str) -> Iterator[str]:
    """Yield a path as it stands and with forward slashes; of an address, each end of its path, the longest first."""
    if not ADDRESS.match(path):
        yield path
        yield posixpath.normpath(path.strip().replace("\\", "/"))
        return
    address = urlsplit(path)
    local = unquote(address.query[2:] if address.query.startswith("d=") else address.path).strip("/")
    parts = local.split("/")
    yield from ("/".join(parts[i:]) for i in range(len(parts)))
    if UPLOADED.match(parts[-1]):
        yield parts[-1][9:]
