"""How many copies that were changed and put beside the training images are found, by hashes and by features.

    python -m benchmarks.similar_images

Of the run at hand, whose data/prepared and models/backbone.safetensors are there. Copies of some training images are
changed in one way each, and looked for as `prepare` and `evaluate` do.
"""

import io
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageOps
from sklearn.preprocessing import normalize

from plumbline.audit.tables import read_clusters
from plumbline.model.model_file import read_model
from plumbline.run.paths import BACKBONE
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import features_of
from plumbline.training.splits import read_splits
from stages.evaluate.similar_images import NEARER_THAN, nearest_of_other_clusters
from stages.prepare.decoding import Facts, Limits, examine
from stages.prepare.duplicates import near_pairs

COPIES, DISTANCE = 60, 6  # training images, and data.near_distance


def cut(left: float, top: float, share: float) -> Callable[[Image.Image], Image.Image]:
    """Return what cuts a square of this share of the side out of an image."""
    return lambda image: image.crop(
        (
            *(round(start * image.width) for start in (left, top)),
            *(round((s + share) * image.width) for s in (left, top)),
        )
    ).resize(image.size, Image.Resampling.BICUBIC)


def as_jpeg(image: Image.Image) -> Image.Image:
    """Return the image at half its size, as JPEG of quality 30."""
    contents = io.BytesIO()
    image.resize((image.width // 2, image.height // 2)).save(contents, "JPEG", quality=30)
    return Image.open(contents).convert("RGB").resize(image.size)


CHANGES = {
    "none": lambda image: image,
    "mirrored": ImageOps.mirror,
    "centre, 85 % of the side": cut(0.075, 0.075, 0.85),
    "corner, 85 % of the side": cut(0, 0, 0.85),
    "rotated by 10 degrees": lambda image: image.rotate(10),
    "brightness 0.6": lambda image: image.point(lambda value: int(value * 0.6)),
    "half the size, JPEG 30": as_jpeg,
}


def facts_of(pixels: np.ndarray) -> Facts:
    """Return what prepare knows of an image, uint8 (size, size, 3)."""
    contents = io.BytesIO()
    Image.fromarray(pixels).save(contents, "PNG")
    return examine(contents.getvalue(), Limits(len(pixels), 10**9, 1))[0]


def main() -> None:
    backbone, compute, splits, numbers = read_model(BACKBONE), choose_compute("float32"), read_splits(), read_clusters()
    network = compute.place(backbone.network())

    def directions(images: torch.Tensor) -> np.ndarray:
        return normalize(features_of(network, backbone.architecture, images, backbone.transform, compute).numpy())

    train = directions(splits["train"].images)
    usual = nearest_of_other_clusters(train, numbers["train"], train, numbers["train"])[1]
    limit = np.quantile(usual, NEARER_THAN, method="higher")
    print(f"{len(train)} training images, limit {limit:.3f}, median {np.median(usual):.3f}")
    some = np.sort(np.random.default_rng(0).choice(len(train), min(COPIES, len(train)), replace=False))
    originals = splits["train"].images.numpy()[some]
    facts = [facts_of(own) for own in originals]
    for name, change in CHANGES.items():
        changed = np.stack([np.asarray(change(Image.fromarray(own))) for own in originals])
        nearest, similarity = nearest_of_other_clusters(
            directions(torch.from_numpy(changed)), np.full(len(some), -1), train, numbers["train"]
        )
        by_features = ((nearest == some) & (similarity > limit)).sum()
        by_hashes = 0
        for own, copy in zip(facts, map(facts_of, changed), strict=True):
            hashes = np.array([own.perceptual_hash, copy.perceptual_hash], np.uint64)
            by_hashes += bool(list(near_pairs(hashes, [own.thumbnail, copy.thumbnail], DISTANCE)))
        print(f"{name}: {by_hashes} of {len(some)} by hashes, {by_features} by features")


if __name__ == "__main__":
    main()
