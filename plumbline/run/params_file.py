"""Read params.yaml, or those sections of it that a stage uses.

A stage names its sections in a class of its own, `Params`, and imports their schemas alone: a new key of another
section does not make it run again. The params stage validates the whole file before any other stage runs.
"""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plumbline.run.errors import UserError
from plumbline.run.fields import Section
from plumbline.run.params_mistakes import first_mistake, where

PATH = Path("params.yaml")

Schema = TypeVar("Schema", bound=Section)


def load(schema: type[Schema], path: Path = PATH) -> Schema:
    """Read and check the sections of params.yaml that the schema names.

    Raises UserError with one line: the key, its value, and what would be right.
    """
    try:
        # The parser that DVC itself uses: what a stage reads is what DVC compares.
        contents = YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's root, as `dvc repro` does") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not UTF-8 text: save it as UTF-8") from None
    except YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {where(error)}") from None
    except RecursionError:
        raise UserError(f"{path} is nested too deeply: it should hold sections, and keys in them") from None
    if not isinstance(contents, dict):
        raise UserError(f"{path} should hold one section a stage, and holds {type(contents).__name__}")
    try:
        return schema.model_validate(contents)
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error, schema)}") from None
