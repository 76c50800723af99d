"""The homework's third problem."""

from typing import Annotated

from pydantic import Field

from plumbline.run.fields import Count, Number, Section


class WeightDecay(Section):
    alpha: Annotated[Number, Field(gt=0)]
    lambda_: Annotated[Number, Field(gt=0)]
    steps: Annotated[Count, Field(le=100_000)]
