"""The trained model, ready to classify images of any kind just as it was trained and evaluated.

from plumbline import Classifier

classifier = Classifier.load("models/finetuned.safetensors")
for prediction in classifier(["photo.jpg", Image.open("other.png"), array]):
    print(prediction.predicted, prediction.probability, prediction.known)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from plumbline.images.decoded import MAX_PIXELS, decode, read_file
from plumbline.images.sixteen_bit_colour import has_sixteen_bit_colours
from plumbline.images.square import to_square
from plumbline.images.unreadable import Unreadable
from plumbline.images.upright_eight_bit_rgb import Ranges, upright_rgb
from plumbline.model.model_file import Model, read_model
from plumbline.model.prediction_sets import Thresholds, in_set, thresholds
from plumbline.model.val_images import brightness, val_images_of
from plumbline.run.errors import UserError
from plumbline.run.paths import FINETUNED
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import logits_and_distances, logits_distances_and_features, logits_of

KEEP = 0.95  # as in params.yaml, evaluate.unknown.keep
PRECISIONS = ("float32", "bfloat16", "auto")

AnyImage = str | PathLike | Image.Image | np.ndarray


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image."""

    predicted: str  # the likeliest class
    probability: float  # of that class, in [0, 1], after the temperature
    probabilities: dict[str, float]  # of every class, in label order
    known: bool | None = None  # whether it is like the images of training; None of a model that cannot tell
    p_known: float | None = None  # how rarely an image like those of training is as far from them, in (0, 1]
    prediction_set: list[str] | None = None  # with a coverage: classes that hold the true one so often, likeliest first
    brightness: float | None = None  # mean of its pixels, in [0, 1]
    distance: float | None = None  # from the training images; None of a model that cannot tell
    size: int | None = None  # the shorter side of the file as stored, pixels, where it is known
    features: list[float] | None = None  # along the directions in which the training images differ most

    def top(self, k: int) -> list[tuple[str, float]]:
        """Return the k likeliest classes with their probabilities, the likeliest first."""
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])[:k]


class Classifier:
    """A trained model with its classes, its transform and its temperature. Runs on a GPU, if torch sees one.

    Turns TF32 off in convolutions, for the whole process, and leaves torch's other settings as they are.
    Several threads may call one at once. While a file is decoded, the whole process shows no warning of Python's, and
    while a TIFF is, nothing that is written to stderr.
    """

    def __init__(
        self, model: Model, precision: str = "float32", keep: float = KEEP, coverage: float | None = None
    ) -> None:
        """Take a model; `precision` is float32, as in evaluation, bfloat16, or auto (bfloat16 where it is fast).

        `keep` is the share of images like those of training that are to be known; `coverage`, where it is given, that
        of images like those of val whose true class is to be in their prediction set. Raises UserError for weights that
        are not of the model's architecture, for a share that is not between 0 and 1, and for a coverage that takes more
        val images than the model has seen; and for another precision.
        """
        if precision not in PRECISIONS:
            raise UserError(
                f"precision is {precision!r}: it should be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}"
            )
        for name, share in (("keep", keep), ("coverage", coverage)):
            if share is not None and not 0 < share < 1:
                raise UserError(f"{name} is {share}: it should be between 0 and 1")
        self.keep, self.has_score = keep, model.has_score
        self.classes = model.classes
        self.transform = model.transform
        self.temperature = model.temperature
        self.is_repeatable = model.is_repeatable
        self.compute = choose_compute(precision)
        self.network = self.compute.place(model.network_with_distance() or model.network())
        self.val = val_images_of(model.tensors, len(model.classes))
        self.directions = self._directions()
        self.sets = None if coverage is None else self._sets(coverage)

    def _directions(self) -> torch.Tensor | None:
        if self.val is None or self.val.directions is None or not self.has_score:
            return None
        directions, features = self.val.directions, len(self.network.score.mean)
        if len(directions) != features:
            raise UserError(
                f"the model's tensor val.directions is for {len(directions)} features, and its head takes {features}: "
                "another program changed it"
            )
        return self.compute.send(directions)

    def _sets(self, coverage: float) -> Thresholds:
        if self.val is None:
            raise UserError("the model says nothing of its val images, which sets take: `dvc repro` writes that")
        labels, relative = self.val.labels.numpy(), self.val.relative_probability.numpy()
        return thresholds(labels, relative, len(self.classes), coverage)

    @classmethod
    def load(
        cls,
        path: str | PathLike = FINETUNED,
        precision: str = "float32",
        keep: float = KEEP,
        coverage: float | None = None,
    ) -> "Classifier":
        """Read a model that the finetune stage wrote. Raises UserError for any other file; nothing is unpickled."""
        return cls(read_model(Path(path)), precision, keep, coverage)

    def __call__(self, images: AnyImage | Sequence[AnyImage]) -> list[Prediction]:
        """Classify images: paths, PIL images, or arrays of uint8 (H, W, 3) in RGB or (H, W) in grey; one, or several.

        Of a PIL image, Pillow has kept eight bits a channel where its file has colours of 16: give the path.
        Raises Unreadable, a ValueError, for what gives no image, and TypeError for what is none of these.
        """
        if isinstance(images, AnyImage) and not (isinstance(images, np.ndarray) and images.ndim == 4):
            images = [images]
        if not len(images):
            return []
        return self.classify(np.stack([self._pixels_or_name(image) for image in images]))

    def _pixels_or_name(self, image: AnyImage) -> np.ndarray:
        try:
            return self.pixels(image)
        except Unreadable as error:
            raise Unreadable(error.reason, f"{name_of(image)}: {error}") from None

    @property
    def batch_size(self) -> int:
        """How many images pass through the network together."""
        return self.compute.evaluation_batch_size

    def pixels(self, image: AnyImage, max_pixels: int = MAX_PIXELS) -> np.ndarray:
        """Return an image as the arrays of the prepare stage hold it, uint8 (resize, resize, 3).

        Raises Unreadable for a file that gives no image, and ValueError for an array, TypeError for anything that is
        none.
        """
        return self.pixels_and_size(image, max_pixels)[0]

    def pixels_and_size(self, image: AnyImage, max_pixels: int = MAX_PIXELS) -> tuple[np.ndarray, int]:
        """Return the same, and the shorter side of the image as stored, in pixels."""
        ranges, transform = self.transform.value_ranges, self.transform
        if isinstance(image, (str, PathLike)):
            stored = decode(read_file(Path(image)), max_pixels, ranges)
            rgb, size = stored.rgb, min(stored.width, stored.height)
        else:
            picture = image if isinstance(image, Image.Image) else image_of(image)
            rgb, size = rgb_of(picture, ranges), min(picture.size)
        return np.asarray(to_square(rgb, transform.resize, transform.fit, transform.interpolation)), size

    def classify(self, pixels: np.ndarray, sizes: Sequence[int | None] | None = None) -> list[Prediction]:
        """Return the predictions for arrays as `pixels` gives them, uint8 (N, resize, resize, 3), and their sizes.

        Raises ValueError for arrays of another shape or type.
        """
        expected = (self.transform.resize, self.transform.resize, 3)
        if pixels.shape[1:] != expected or pixels.dtype != np.uint8:
            raise ValueError(f"{pixels.dtype} {pixels.shape} should be uint8 (N, {', '.join(map(str, expected))})")
        images = torch.from_numpy(pixels)
        known, p_known, sets, far, features = ([None] * len(pixels) for _ in range(5))
        if self.has_score:
            to_classify = images, self.transform, self.compute
            if self.directions is None:
                logits, distances = logits_and_distances(self.network, *to_classify)
            else:
                logits, distances, sketch = logits_distances_and_features(self.network, self.directions, *to_classify)
                features = sketch.tolist()
            score = self.network.score
            far = distances.tolist()
            known = (~score.is_unknown(distances, self.keep)).tolist()
            p_known = [count / (score.val_images + 1) for count in score.count(distances).tolist()]
        else:
            logits = logits_of(self.network, images, self.transform, self.compute)
        probabilities = (logits / self.temperature).softmax(dim=1)
        if not probabilities.isfinite().all():
            raise UserError("the model gives no finite number for an image: its weights are damaged, or it diverged")
        if self.sets is not None:
            sets = self._classes_of(probabilities.numpy())
        likeliest = probabilities.argmax(dim=1).tolist()
        of_images = brightness(images).tolist(), far, sizes or [None] * len(pixels), features
        columns = likeliest, probabilities.tolist(), known, p_known, sets, *of_images
        return [
            Prediction(
                self.classes[label],
                class_probabilities[label],
                dict(zip(self.classes, class_probabilities, strict=True)),
                *judged,
            )
            for label, class_probabilities, *judged in zip(*columns, strict=True)
        ]

    def _classes_of(self, probabilities: np.ndarray) -> list[list[str]]:
        held, order = in_set(probabilities, self.sets.least), np.argsort(-probabilities, axis=1, kind="stable")
        return [[self.classes[c] for c in likely if mask[c]] for mask, likely in zip(held, order, strict=True)]


def name_of(image: AnyImage) -> str:
    """Return what to call an image in a message."""
    if isinstance(image, np.ndarray):
        return f"an array of shape {image.shape}"
    if isinstance(image, Image.Image):
        return getattr(image, "filename", "") or repr(image)
    return str(image)


def rgb_of(picture: Image.Image, ranges: Ranges | None) -> Image.Image:
    """Return a PIL image as 8-bit RGB. Raises Unreadable for one without pixels, or without its lower bits."""
    if not all(picture.size):
        raise Unreadable("empty", f"{picture.width} x {picture.height} pixels")
    if (ranges or {}).get("integers") and has_sixteen_bit_colours(picture):
        raise Unreadable(
            "unsupported", "of its 16 bits a channel Pillow keeps eight, and the model takes all: give the path"
        )
    try:
        return upright_rgb(picture, ranges)
    except OSError as error:  # of a file that Pillow has opened and reads only now
        raise Unreadable("truncated" if "truncated" in str(error) else "damaged", str(error)) from None


def image_of(array: np.ndarray) -> Image.Image:
    """Return an array as an image: (H, W, 3) in RGB, (H, W, 4) with transparency, or (H, W) in grey."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{type(array).__name__} {array!r} is no image: give a path, a PIL image or an array")
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ValueError(f"an array of shape {array.shape} is no image: (height, width, 3) in RGB, or (height, width)")
    if array.dtype != np.uint8 and not (array.dtype == np.uint16 and array.ndim == 2):
        raise ValueError(f"an array of {array.dtype} does not say its range: give uint8, from 0 to 255")
    return Image.fromarray(array[..., 0] if array.ndim == 3 and channels == 1 else array)
