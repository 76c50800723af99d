"""How the curvature is measured where training starts."""

from typing import Annotated

from pydantic import Field

from plumbline.run.fields import Count, Section


class Curvature(Section):
    images: Annotated[Count, Field(ge=2)]  # batch normalisation needs two
    draws: Count
    steps: Annotated[Count, Field(le=100)]
