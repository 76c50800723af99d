"""How each image becomes the network's input."""

from pydantic import model_validator

from plumbline.run.fields import Pixels, PositiveRgb, Rgb, Section


class Image(Section):
    resize: Pixels
    crop: Pixels
    mean: Rgb
    std: PositiveRgb

    @model_validator(mode="after")
    def crop_fits(self) -> "Image":
        if self.crop > self.resize:
            raise ValueError(f"image.crop is {self.crop}: should be at most image.resize, {self.resize}")
        return self
