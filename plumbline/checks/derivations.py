"""Lay a check stage's mathematics out for the report: formulas in their order, each with what verified it."""

import inspect
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from plumbline.run.outputs import whole_file

Cell = str | int | float


@dataclass(frozen=True)
class Step:
    """One formula on the way from a definition to a verified number."""

    number: str  # the homework's, as "0.5" or "2 (c)"; empty where the step is ours
    latex: str  # in the subset that matplotlib's mathtext draws
    words: str  # what is done and why, one or two sentences
    verified: str = ""  # the number that was found, and against what; empty for a definition
    question: str = ""  # the homework's, in our words, before the first step of its answer


@dataclass(frozen=True)
class Table:
    """Numbers that belong to a derivation."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]


@dataclass(frozen=True)
class Code:
    """A part of this project's source, beside what is derived from it."""

    place: str  # file and function
    text: str


def code_of(*functions: Callable) -> list[Code]:
    """Return the functions' source as it stands."""
    return [
        Code(f"{function.__module__.replace('.', '/')}.py, {function.__name__}", inspect.getsource(function).rstrip())
        for function in functions
    ]


@dataclass
class Derivation:
    """A problem of the homework, from its definitions to its verified answers."""

    title: str
    steps: list[Step] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    code: list[Code] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Write it as JSON: title, steps, tables and code, with these classes' fields as keys."""
        with whole_file(path) as partial:
            text = json.dumps(asdict(self), indent=1, ensure_ascii=False, allow_nan=False)
            partial.write_text(text + "\n", encoding="utf-8")
