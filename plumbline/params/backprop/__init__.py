"""The homework's first problem."""

from typing import Annotated

from pydantic import Field

from plumbline.run.fields import Count, Section


class Backprop(Section):
    trials: Annotated[Count, Field(le=10_000)]
    samples: Count
    inputs: Count
    hidden: Count
    outputs: Count
