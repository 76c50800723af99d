"""The pre-trained network."""

from typing import Annotated

from pydantic import Field, model_validator

from plumbline.run.fields import Count, Number, Pixels, Place, Precision, Section, Text


class Pretraining(Section):
    epochs: Count
    image_size: Annotated[Pixels, Field(ge=32)]
    batch_size: Annotated[Count, Field(ge=2)]  # batch normalisation needs two
    lr: Annotated[Number, Field(gt=0)]
    precision: Precision


class Weights(Section):
    architecture: Text
    source: Place
    tag: Text | None
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    pretraining: Pretraining

    @model_validator(mode="after")
    def only_timms_have_tags(self) -> "Weights":
        if self.tag is not None and not self.architecture.startswith("timm/"):
            raise ValueError(f"weights.tag is {self.tag}: should be null, for {self.architecture} is none of timm's")
        return self
