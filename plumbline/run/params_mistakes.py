"""Say what is wrong with params.yaml in one line: which key, what it holds, and what would be right."""

import difflib
import reprlib
from datetime import date
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml.error import YAMLError


def where(error: YAMLError) -> str:
    """Return the line at which the file stops being YAML, and why."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark else problem


def first_mistake(error: ValidationError, schema: type[BaseModel]) -> str:
    """Return the first mistake, unknown keys before all others: a typo there causes a missing key too."""
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] != "extra_forbidden")
    more = f" (and {len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    return f"{describe(mistakes[0], schema)}{more}"


def describe(mistake: Any, schema: type[BaseModel]) -> str:
    """Return one of pydantic's mistakes in the words of params.yaml."""
    key = ".".join(str(part) for part in mistake["loc"])
    match mistake["type"]:
        case "extra_forbidden":
            return f"{key} is not a known key; {nearest(mistake['loc'], schema)}"
        case "missing":
            return f"{key} is missing: add it, with a value as in the project's own params.yaml"
        case "model_type" | "model_attributes_type":
            return f"{key} is {short(mistake['input'])}: should be a section with keys of its own"
        case "value_error" if mistake["input"] is None or isinstance(mistake["input"], dict):
            return str(mistake["ctx"]["error"])  # a rule between two keys, which names both
        case "too_short" | "too_long":
            return f"{key} is {short(mistake['input'])}: should be a list of 3 numbers"
        case "string_type" if isinstance(mistake["input"], (bool, int, float, date)):
            return f"{key} is {str(mistake['input'])[:80]}, which YAML does not read as text: put it in quotes"
        case "string_type":
            return f"{key} is {short(mistake['input'])}: should be text"
        case "string_too_short":
            return f"{key} is empty: give it a value"
        case "string_pattern_mismatch":
            return f"{key} is {short(mistake['input'])}: should be 64 lower-case hexadecimal digits"
        case _:
            wish = mistake["msg"].removeprefix("Value error, ").removeprefix("Input ")
            return f"{key} is {short(mistake['input'])}: {wish}"


def short(value: Any) -> str:
    """Return a value as Python writes it, cut where it is long: YAML's aliases can make it endless."""
    shortener = reprlib.Repr()
    shortener.maxlevel, shortener.maxstring, shortener.maxlong, shortener.maxother = 3, 200, 80, 200
    return shortener.repr(value)


def nearest(loc: tuple[int | str, ...], schema: type[BaseModel]) -> str:
    """Return the known key that a mistyped one resembles, or all known keys of its section."""
    section: Any = schema
    for part in loc[:-1]:
        section = section.model_fields[part].annotation
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(loc[-1]), known, n=1)
    prefix = "".join(f"{part}." for part in loc[:-1])
    if close:
        return f"did you mean {prefix}{close[0]}?"
    return f"known here: {', '.join(known)}"
