"""How many of scikit-learn's digits are written."""

from typing import Annotated

from pydantic import Field

from plumbline.run.fields import Count, Section


class Digits(Section):
    # The smaller class, 8, has 174 images; some must be left for test.
    train_images_per_class: Annotated[Count, Field(le=120)]
    val_images_per_class: Annotated[Count, Field(le=50)]
