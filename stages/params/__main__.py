"""Validate the whole of params.yaml: every other stage depends on this one's certificate.

So a mistake in any section ends a run before any work. The certificate holds no value: a changed parameter makes only
the stages run again that use it. Writes data/certificates/params.txt, and data/pretrained_pixels.json: what
`image.resize: pretrained` and `image.interpolation: pretrained` stand for, so that `prepare` need not import torch.
"""

from pydantic import ValidationError

from plumbline.model.timm_names import is_timm, refuse_unknown_timm_name
from plumbline.params.all import AllParams
from plumbline.params.image import PRETRAINED, Image
from plumbline.params.weights import Weights
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import UserError, run
from plumbline.run.outputs import write_json
from plumbline.run.params_mistakes import first_mistake
from plumbline.run.paths import PRETRAINED_PIXELS

CLAIMS = (
    "params.yaml holds every section and every key, and no other",
    "every value is of its key's type and in its range",
    "the values that limit each other agree",
)


def pretrained_pixels(image: Image, weights: Weights) -> dict[str, int | str]:
    """Return the values of `resize` and `interpolation` that belong to the weights, where params.yaml wants those."""
    if not image.follows_weights:
        return {}
    from plumbline.model.families import published_transform  # imports torch, which takes seconds

    filled = image.filled_in(published_transform(weights.architecture, weights.tag))
    try:
        Image.model_validate(filled.model_dump())
    except ValidationError as error:
        raise UserError(f"{params_file.PATH}, with `pretrained` filled in: {first_mistake(error, Image)}") from None
    return {key: getattr(filled, key) for key in ("resize", "interpolation") if getattr(image, key) == PRETRAINED}


def main() -> None:
    withdraw_certificate("params")
    settings = params_file.load(AllParams)
    if is_timm(settings.weights.architecture):
        refuse_unknown_timm_name(settings.weights.architecture)
    write_json(PRETRAINED_PIXELS, pretrained_pixels(settings.image, settings.weights))
    write_certificate("params", CLAIMS)


if __name__ == "__main__":
    run(main)
