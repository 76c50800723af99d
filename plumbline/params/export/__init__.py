"""The model in other people's programs."""

from typing import Annotated, Literal

from pydantic import Field

from plumbline.run.fields import Count, Number, Section


class Export(Section):
    tolerance: Annotated[Number, Field(gt=0, lt=1)]
    int8: Literal["none", "static", "dynamic"]
    calibration_images: Count
