"""Provide the pre-trained network as a versioned file, from the source that params.yaml names.

`digits` pre-trains on data/digits-source; `imagenet` takes torchvision's IMAGENET1K_V1, or the weights that timm
publishes for a network of its own; a path or URL is taken as it is, if its sha256 is right; `none` starts from random
weights, for comparison. Writes models/backbone.safetensors, with a head whose classes are the source's.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.hub import get_dir

from plumbline.model.description import Transform
from plumbline.model.families import build_network, published_transform, published_weights, torchvision_weights
from plumbline.model.head import refuse_unserved
from plumbline.model.model_file import Model, write_model
from plumbline.model.networks import refuse_image_size, shape_of_network
from plumbline.model.timm_names import is_timm
from plumbline.params.image import PRETRAINED, Image
from plumbline.params.weights import Weights
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import Determinism, Seed, SomeSections
from plumbline.run.hashes import sha256_of
from plumbline.run.paths import BACKBONE, DIGITS_SOURCE
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import choose_compute, make_repeatable, nondeterministic_operations
from stages.weights.download import download, refuse_size, verify
from stages.weights.pretraining import pretrain, read_digits
from stages.weights.tensor_names import weights_among
from stages.weights.timm_weights import in_environment, timm_weights
from stages.weights.weight_file import read_dictionaries


class Params(SomeSections):
    seed: Seed
    image: Image
    weights: Weights
    finetune: Determinism


def backbone(settings: Params) -> Model:
    """Return the model from the source that `weights.source` names."""
    match settings.weights.source:
        case "none":
            return from_nothing(settings)
        case "digits":
            return from_digits(settings)
        case "imagenet" if is_timm(settings.weights.architecture):
            return from_timm(settings)
        case "imagenet":
            return from_torchvision(settings)
        case source if "://" in source:
            return from_url(settings)
        case _:
            return from_file(settings, Path(settings.weights.source))


def from_nothing(settings: Params) -> Model:
    """Return random weights."""
    classes = ["0", "1"]  # the head is replaced in any case
    return described(settings, build_network(settings.weights.architecture, len(classes)).state_dict(), classes)


def from_digits(settings: Params) -> Model:
    """Return a network that was trained, from random weights, on the eight other digits."""
    recipe = settings.weights.pretraining
    images, labels, classes = read_digits(DIGITS_SOURCE, recipe.image_size)
    shape = shape_of_network(settings.weights.architecture, len(classes))
    refuse_image_size(shape, recipe.image_size, "weights.pretraining.image_size")
    compute = choose_compute(recipe.precision)
    network = compute.place(build_network(settings.weights.architecture, len(classes)))
    size = recipe.image_size
    transform = Transform(resize=size, crop=size, mean=settings.image.mean, std=settings.image.std)
    with timed("weights", recipe.epochs * len(images)), nondeterministic_operations([]):
        pretrain(network, images, labels, recipe, transform, compute)
    return described(settings, network.state_dict(), classes)


def from_torchvision(settings: Params) -> Model:
    """Return the weights that torchvision publishes, from torch's own cache of downloads if they are there.

    Their names end with the first digits of their sha256.
    """
    architecture = settings.weights.architecture
    weights = torchvision_weights(architecture)
    expected = settings.weights.sha256 or Path(weights.url).stem.rpartition("-")[2]
    path = Path(get_dir(), "checkpoints", Path(weights.url).name)
    sha256 = sha256_of(path) if path.exists() else ""
    if not sha256.startswith(expected):
        sha256 = download(weights.url, path, expected, otherwise=in_environment())
    tensors, _ = weights_among(read_dictionaries(path, weights.url), architecture, weights.url)
    return described(settings, tensors, weights.meta["categories"], sha256)


def from_timm(settings: Params) -> Model:
    """Return the weights that timm publishes, with numbers for the names of their classes."""
    weights = settings.weights
    tag = published_weights(weights.architecture, weights.tag).tag
    settings = settings.model_copy(update={"weights": weights.model_copy(update={"tag": tag})})
    tensors, classes, sha256 = timm_weights(settings.weights)
    return described(settings, tensors, [str(label) for label in range(classes)], sha256)


def from_url(settings: Params) -> Model:
    """Return the weights that a URL names."""
    source, expected = settings.weights.source, required_sha256(settings.weights)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "weights")
        sha256 = download(source.with_secrets, path, expected)
        return from_weight_file(settings, path, sha256)


def from_file(settings: Params, path: Path) -> Model:
    """Return the weights that a path names."""
    expected = required_sha256(settings.weights)
    if not path.is_file():
        raise UserError(
            f"weights.source is {str(path)!r}, and there is no such file: "
            "set it to digits, imagenet, none, or a path or URL"
        )
    refuse_size(path.stat().st_size, str(path))
    sha256 = verify(path, str(path), expected)
    return from_weight_file(settings, path, sha256)


def required_sha256(weights: Weights) -> str:
    """Return the sha256 that must stand beside a path or URL."""
    if weights.sha256 is None:
        raise UserError(f"weights.source is {weights.source!r}: set weights.sha256 to the file's sha256 as well")
    return weights.sha256


def from_weight_file(settings: Params, path: Path, sha256: str) -> Model:
    """Return somebody's weights, whose head says how many classes they know; their names are not known."""
    source = settings.weights.source
    tensors, classes = weights_among(read_dictionaries(path, source), settings.weights.architecture, source)
    return described(settings, tensors, [str(label) for label in range(classes)], sha256)


def described(settings: Params, tensors: dict[str, torch.Tensor], classes: list[str], sha256: str = "") -> Model:
    """Return a Model of the settings' architecture and transform."""
    return Model(
        architecture=settings.weights.architecture,
        classes=classes,
        transform=Transform(**settings.image.model_dump()),
        parameters={"seed": settings.seed, "weights": settings.weights.model_dump()},
        source=settings.weights.source,
        sha256=sha256,
        tensors=tensors,
    )


def in_numbers(settings: Params) -> Params:
    """Return the settings with the published weights' values where section `image` says `pretrained`.

    Prints a line for each other value of params.yaml that is not that of the weights that are taken.
    """
    image, weights = settings.image, settings.weights
    if not image.follows_weights and weights.source != "imagenet":
        return settings
    published = published_transform(weights.architecture, weights.tag)
    if weights.source == "imagenet":
        for key, value in published.items():
            setting = getattr(image, key)
            if setting not in (value, PRETRAINED) and not (key == "resize" and image.fit != "crop"):
                advice = f"set it to {value}" if key == "fit" else "`pretrained` is that value"
                print(
                    f"image.{key} is {setting}, and the weights of {weights.architecture} were trained with {value}: "
                    f"{advice}",
                    file=sys.stderr,
                )
    return settings.model_copy(update={"image": image.filled_in(published)})


def main() -> None:
    settings = in_numbers(params_file.load(Params))
    refuse_unserved(settings.weights.architecture, settings.image.crop)
    make_repeatable(settings.seed, deterministic=settings.finetune.deterministic)
    write_model(BACKBONE, backbone(settings))


if __name__ == "__main__":
    run(main, takes_memory="weights.pretraining.batch_size or weights.pretraining.image_size")
