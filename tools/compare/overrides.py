"""Write a parameter as an option of `dvc exp run` that a shell, and then Hydra, read as the value that it has."""

import re
import shlex
from typing import Any

from plumbline.run.dotted_keys import written

# Text that Hydra takes for text without quotes. Source: https://hydra.cc/docs/advanced/override_grammar/basic/
PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
NO_TEXT = ("null", "true", "false", "inf", "nan")  # in any case
NOT_IN_DOUBLE_QUOTES = '"$`\\!'  # what a shell would not leave as it is there


def option(key: str, value: Any) -> str:
    """Return `-S key=value` for a shell."""
    text = f"{key}={in_hydra(value)}"
    if "'" in text and not set(text) & set(NOT_IN_DOUBLE_QUOTES):
        return f'-S "{text}"'  # shlex quotes each quote on its own, which is hard to read
    return f"-S {shlex.quote(text)}"


def in_hydra(value: Any) -> str:
    """Return a value as Hydra reads it; text in single quotes where it needs them."""
    if isinstance(value, list):
        return f"[{','.join(map(in_hydra, value))}]"
    if not isinstance(value, str) or (PLAIN.fullmatch(value) and value.lower() not in NO_TEXT):
        return written(value)
    # Hydra reads backslashes in pairs where a quote follows them, and only there.
    doubled = re.sub(r"(\\+)(?='|\Z)", r"\1\1", value)
    return "'" + doubled.replace("'", "\\'") + "'"
