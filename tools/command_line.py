"""What the options of several commands have in common: numbers within bounds, the form of the output, the model."""

import argparse
import json
import math
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from plumbline.run.paths import FINETUNED

MODEL_SUFFIXES = (".safetensors", ".onnx", ".pt2", ".pt", ".pth")


def share(text: str) -> float:
    """Read a number between 0 and 1."""
    if not 0 < (value := float(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def count(text: str, least: int = 1, most: float = math.inf) -> int:
    """Read a whole number."""
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text} is no whole number") from None
    if value < least:
        raise argparse.ArgumentTypeError(f"{text} is less than {least}")
    if value > most:
        raise argparse.ArgumentTypeError(f"{text} is more than {most:,}")
    return value


def add_form(parser: argparse.ArgumentParser) -> None:
    """Add the options --json and --markdown, of which one may be given."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print Markdown")


def print_in_form(result: dict[str, Any], as_text: Callable[..., str], given: argparse.Namespace) -> None:
    """Print what was found in the form that was asked for, by default as text."""
    print(json.dumps(result, indent=2, ensure_ascii=False) if given.json else as_text(result, markdown=given.markdown))


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the option --model."""
    parser.add_argument(
        "--model", default=str(FINETUNED), help=f"file, or a revision that has {FINETUNED}; default: {FINETUNED}"
    )


@contextmanager
def model_file(wish: str) -> Iterator[Path]:
    """Give the path of the model's file: the file given, or a copy of the one in the revision given."""
    path = Path(wish)
    if path.exists() or path.suffix in MODEL_SUFFIXES:
        yield path
    else:
        from tools.revision_files import file_at  # imports DVC, which is slow and needed here alone

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / FINETUNED.name
            with file_at(FINETUNED, wish, also="a file") as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            yield path
