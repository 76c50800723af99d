"""The kinds of value that params.yaml holds, and what all its sections have in common."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from plumbline.run.addresses import Address


def _number(value: Any) -> Any:
    """Let `1e-3` through, which YAML 1.1 reads as text, and keep `true` from being read as 1."""
    if isinstance(value, bool):
        raise ValueError("should be a number")
    if isinstance(value, str) and not re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value):
        raise ValueError("should be a number")
    return value


Whole = Annotated[int, Field(strict=True)]
Count = Annotated[int, Field(strict=True, ge=1)]
Seed = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Flag = Annotated[bool, Field(strict=True)]
Text = Annotated[str, Field(strict=True, min_length=1)]
Place = Annotated[Text, AfterValidator(Address)]
Pixels = Annotated[int, Field(strict=True, ge=1, le=4096)]
Precision = Literal["auto", "float32", "bfloat16"]
TrainingPrecision = Literal["auto", "float64", "float32", "bfloat16"]
Rgb = Annotated[list[Number], Field(min_length=3, max_length=3)]
PositiveRgb = Annotated[list[Annotated[Number, Field(gt=0)]], Field(min_length=3, max_length=3)]


class Section(BaseModel):
    """What all sections have in common: no unknown key, no key left out, no change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Determinism(Section):
    """What stages before `finetune` read of its section: a change of its other keys does not concern them."""

    model_config = ConfigDict(extra="ignore")

    deterministic: Flag


class SomeSections(Section):
    """The sections of params.yaml that one stage uses; the others are not looked at."""

    model_config = ConfigDict(extra="ignore")
