"""The pre-trained network."""

from typing import Annotated

from pydantic import Field

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
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None
    pretraining: Pretraining
