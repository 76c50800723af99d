"""The homework's second problem."""

from pydantic import model_validator

from plumbline.run.fields import Count, Pixels, Section


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
