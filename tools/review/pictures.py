"""Small pictures for the page, as data URIs."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from plumbline.data.prepared import read_resizing, read_value_ranges
from plumbline.images.decoded import decode, read_file
from plumbline.images.square import to_square
from plumbline.run.paths import PREPARED
from tools.review.images_to_review import Image

SIZE = 192  # pixels, at most, along a side
QUALITY = 75  # of WebP


def pictures(images: list[Image], max_pixels: int) -> list[str]:
    """Return a picture of each image: the square that is trained on, made smaller."""
    arrays = {path.stem: np.load(path, mmap_mode="r") for path in PREPARED.glob("*.npy")}
    return [
        data_uri(
            squared(image.place, max_pixels)
            if isinstance(image.place, Path)
            else Pillow.fromarray(arrays[image.split][image.place])
        )
        for image in images
    ]


def squared(path: Path, max_pixels: int) -> Pillow.Image:
    """Return a file that is in no array as it would be there, but for its size."""
    resizing = read_resizing()
    image = decode(read_file(path), max_pixels, read_value_ranges()).rgb
    return to_square(image, SIZE, resizing["fit"], resizing["interpolation"])


def data_uri(picture: Pillow.Image) -> str:
    picture.thumbnail((SIZE, SIZE))
    contents = io.BytesIO()
    picture.save(contents, "WEBP", quality=QUALITY)
    return f"data:image/webp;base64,{base64.b64encode(contents.getvalue()).decode()}"
