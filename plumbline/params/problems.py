"""The homework's first three problems."""

from typing import Annotated

from pydantic import Field, model_validator

from plumbline.params.fields import Count, Number, Pixels, Section


class Backprop(Section):
    trials: Annotated[Count, Field(le=10_000)]
    samples: Count
    inputs: Count
    hidden: Count
    outputs: Count


class Convolution(Section):
    height: Pixels
    width: Pixels
    input_channels: Count
    kernel: Count
    output_channels: Count

    @model_validator(mode="after")
    def kernel_fits(self) -> "Convolution":
        if self.kernel > min(self.height, self.width):
            raise ValueError(
                f"convolution.kernel is {self.kernel}: should be at most the image's height and width, "
                f"{self.height} and {self.width}"
            )
        return self


class WeightDecay(Section):
    alpha: Annotated[Number, Field(gt=0)]
    lambda_: Annotated[Number, Field(gt=0)]
    steps: Annotated[Count, Field(le=100_000)]
