"""Copies of a module with a fault in its source, which the tests have to notice."""

from pathlib import Path
from types import ModuleType


def planted(module: ModuleType, right: str = "", wrong: str = "") -> ModuleType:
    """Return a copy of a module that has `wrong` where its source has `right`, once; without them, as it is."""
    source = Path(module.__file__).read_text(encoding="utf-8")
    assert not right or source.count(right) == 1, f"{module.__name__} does not hold {right!r} once"
    copy = ModuleType(f"planted_{module.__name__.rpartition('.')[2]}")
    exec(compile(source.replace(right, wrong), copy.__name__, "exec"), copy.__dict__)
    return copy
