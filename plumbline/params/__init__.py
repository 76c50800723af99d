"""The typed schema of params.yaml: one class a section.

Every stage loads the whole file through `load`, so that a mistake anywhere in it ends the first stage
that runs, before any work; a stage then uses its own sections alone, and dvc.yaml names those.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from plumbline.errors import UserError
from plumbline.params.data import Data, Digits, Image
from plumbline.params.evaluation import Evaluate, Threshold
from plumbline.params.exporting import Export
from plumbline.params.fields import Section, Whole
from plumbline.params.figures import Gallery
from plumbline.params.mistakes import first_mistake, where
from plumbline.params.problems import Backprop, Convolution, WeightDecay
from plumbline.params.training import Augment, Curvature, Finetune, Pretraining, Weights

__all__ = [
    "Augment",
    "Backprop",
    "Convolution",
    "Curvature",
    "Data",
    "Digits",
    "Evaluate",
    "Export",
    "Finetune",
    "Gallery",
    "Image",
    "Params",
    "Pretraining",
    "Section",
    "Threshold",
    "WeightDecay",
    "Weights",
    "load",
]

PATH = Path("params.yaml")


class Params(Section):
    """The whole of params.yaml."""

    seed: Annotated[Whole, Field(ge=0, lt=2**63)]
    data: Data
    image: Image
    digits: Digits
    backprop: Backprop
    convolution: Convolution
    weight_decay: WeightDecay
    weights: Weights
    curvature: Curvature
    finetune: Finetune
    evaluate: Evaluate
    gallery: Gallery
    export: Export


def load(path: Path = PATH) -> Params:
    """Read and check params.yaml.

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
    if not isinstance(contents, dict):
        raise UserError(f"{path} should hold one section a stage, and holds {type(contents).__name__}")
    try:
        return Params.model_validate(contents)
    except ValidationError as error:
        raise UserError(f"{path}: {first_mistake(error, Params)}") from None
