"""How each image becomes the network's input."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import PlainSerializer, WrapValidator, model_validator

from plumbline.run.fields import Pixels, PositiveRgb, Rgb, Section

PRETRAINED = "pretrained"  # stands for what the published weights of weights.architecture were trained with


def _pretrained_or(value: Any, validate: Callable[[Any], Any]) -> Any:
    return value if value == PRETRAINED else validate(value)


OrPretrained = (WrapValidator(_pretrained_or), PlainSerializer(lambda value: value, return_type=Any))


class Image(Section):
    resize: Annotated[Pixels, *OrPretrained]
    crop: Annotated[Pixels, *OrPretrained]
    fit: Literal["crop", "pad", "squash"]
    interpolation: Literal["bilinear", "bicubic", "pretrained"]
    mean: Annotated[Rgb, *OrPretrained]
    std: Annotated[PositiveRgb, *OrPretrained]

    @model_validator(mode="after")
    def sizes_agree(self) -> "Image":
        if PRETRAINED in (self.crop, self.resize):
            return self
        if self.crop > self.resize:
            raise ValueError(f"image.crop is {self.crop}: should be at most image.resize, {self.resize}")
        if self.fit != "crop" and self.crop != self.resize:
            raise ValueError(
                f"image.fit is {self.fit}, with which the network sees the whole image: image.resize, {self.resize}, "
                f"should be image.crop, {self.crop}"
            )
        return self

    @property
    def follows_weights(self) -> bool:
        """Whether a value is `pretrained`."""
        return any(getattr(self, key) == PRETRAINED for key in type(self).model_fields)

    def filled_in(self, values: Mapping[str, Any]) -> "Image":
        """Return the section with these values where it says `pretrained`.

        With another fit than crop, `resize: pretrained` is the crop: the network sees the whole image.
        """
        settings = {key: getattr(self, key) for key in type(self).model_fields}
        filled = {key: values[key] if value == PRETRAINED else value for key, value in settings.items()}
        if settings["resize"] == PRETRAINED and settings["fit"] != "crop":
            filled["resize"] = filled["crop"]
        return self.model_copy(update=filled)
