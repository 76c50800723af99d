"""The names of timm's networks, without an import of timm: that imports torch, which takes seconds.

In params.yaml and in model files they are `timm/<name>`, so that `resnet34` stays torchvision's.
"""

import difflib
import re
from importlib.util import find_spec
from pathlib import Path

from plumbline.run.errors import UserError

PREFIX = "timm/"
REGISTERED = re.compile(r"^@register_model\s*\ndef (\w+)\(", re.MULTILINE)  # as each of timm's networks is defined
NEAREST = 3  # names in a message


def is_timm(architecture: str) -> bool:
    """Return whether an architecture is named as one of timm's."""
    return architecture.startswith(PREFIX)


def timm_name(architecture: str) -> str:
    """Return timm's own name of an architecture."""
    return architecture.removeprefix(PREFIX)


def timm_names() -> list[str]:
    """Return the names of all of timm's networks, sorted. Raises UserError if timm is not installed."""
    spec = find_spec("timm")
    if spec is None or spec.origin is None:
        raise UserError(
            f"weights.architecture begins with {PREFIX}, and timm is not in this environment: "
            "run `make`, which installs requirements.txt, or choose one of torchvision's classifiers"
        )
    modules = Path(spec.origin).parent.joinpath("models").glob("*.py")
    return sorted({name for module in modules for name in REGISTERED.findall(module.read_text(encoding="utf-8"))})


def refuse_unknown_timm_name(architecture: str) -> None:
    """Raise UserError for `timm/<name>` if timm has no network of that name."""
    name, known = timm_name(architecture), timm_names()
    if name in known:
        return
    before, dot, tag = name.partition(".")
    if dot and before in known:
        raise UserError(
            f"weights.architecture is {architecture!r}: set it to {PREFIX}{before}, and weights.tag to {tag}"
        )
    close = difflib.get_close_matches(before, known, n=NEAREST)
    hint = f"did you mean {few(close)}?" if close else "python -c 'import timm; print(timm.list_models())' lists them"
    raise UserError(f"weights.architecture is {architecture!r}, and timm has no network of that name; {hint}")


def few(names: list[str]) -> str:
    """Return names of timm's networks as params.yaml has them, for a message."""
    return " or ".join(f"{PREFIX}{name}" for name in names)
