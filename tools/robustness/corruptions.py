"""Change images as cameras, networks and hands do: eight corruptions, each at five severities.

Noise, blur, JPEG, brightness and contrast have the severities of ImageNet-C, whose images have 224 pixels; a blur is
as wide in proportion to what the network sees. Scale, rotation and shift are not in ImageNet-C: their severities are
this project's. The chance in a corruption belongs to the image: it follows from the file's sha256 and a seed, and is
the same at every severity. Source: Hendrycks and Dietterich 2019, "Benchmarking neural network robustness to common
corruptions and perturbations", arXiv:1903.12261, with their code.
"""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform, gaussian_filter

SIDE = 224  # pixels, of ImageNet-C's images
SEVERITIES = (1, 2, 3, 4, 5)


def gaussian_noise(image: np.ndarray, deviation: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    return image + 255 * deviation * chance.standard_normal(image.shape, dtype=np.float32)


def gaussian_blur(image: np.ndarray, deviation: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    width = deviation * crop / SIDE
    return gaussian_filter(image.astype(np.float32), (width, width, 0), mode="nearest")


def jpeg(image: np.ndarray, quality: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=int(quality))
    return np.asarray(Image.open(file))


def brightness(image: np.ndarray, more: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    """Raise the value of hue, saturation and value, which is the largest of red, green and blue."""
    value = image.max(axis=2, keepdims=True).astype(np.float32)
    brighter = np.minimum(value + 255 * more, 255)
    return np.where(value > 0, image * (brighter / np.maximum(value, 1)), brighter)


def contrast(image: np.ndarray, share: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    """Keep a share of the difference from each channel's mean."""
    means = image.mean(axis=(0, 1), dtype=np.float64)
    return means + share * (image - means)


def scale(image: np.ndarray, factor: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    """Make what is seen larger or smaller by a factor."""
    larger = factor if chance.random() < 0.5 else 1 / factor
    return moved(image, np.eye(2) / larger)


def rotation(image: np.ndarray, degrees: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    """Turn the image about its centre, to either side."""
    angle = math.radians(degrees) * (1 if chance.random() < 0.5 else -1)
    return moved(image, np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]))


def shift(image: np.ndarray, share: float, chance: np.random.Generator, crop: int) -> np.ndarray:
    """Move the image by a share of what the network sees, in any direction."""
    angle = 2 * math.pi * chance.random()
    return moved(image, np.eye(2), share * crop * np.array([math.sin(angle), math.cos(angle)]))


def moved(image: np.ndarray, matrix: np.ndarray, by: np.ndarray | None = None) -> np.ndarray:
    """Return the image (H, W, 3) seen through a matrix (2, 2) about its centre, bilinear, mirrored beyond its edges."""
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - matrix @ centre - (0 if by is None else by)
    channels = np.moveaxis(image.astype(np.float32), 2, 0)
    return np.stack(
        [affine_transform(channel, matrix, offset, order=1, mode="reflect") for channel in channels], axis=2
    )


@dataclass(frozen=True)
class Corruption:
    """A way to change an image, and its setting at each severity."""

    change: Callable[[np.ndarray, float, np.random.Generator, int], np.ndarray]
    settings: tuple[float, float, float, float, float]
    unit: str  # of the settings


CORRUPTIONS = {
    "gaussian_noise": Corruption(gaussian_noise, (0.08, 0.12, 0.18, 0.26, 0.38), "deviation, of 1"),
    "gaussian_blur": Corruption(gaussian_blur, (1, 2, 3, 4, 6), "deviation, pixels of 224"),
    "jpeg": Corruption(jpeg, (25, 18, 15, 10, 7), "quality"),
    "brightness": Corruption(brightness, (0.1, 0.2, 0.3, 0.4, 0.5), "more, of 1"),
    "contrast": Corruption(contrast, (0.4, 0.3, 0.2, 0.1, 0.05), "share that is kept"),
    "scale": Corruption(scale, (1.1, 1.2, 1.35, 1.5, 2), "factor, up or down"),
    "rotation": Corruption(rotation, (5, 10, 15, 20, 30), "degrees, to either side"),
    "shift": Corruption(shift, (0.02, 0.04, 0.06, 0.08, 0.1), "share of the side"),
}


def corrupted(pixels: np.ndarray, files: list[str], name: str, severity: int, crop: int, seed: int) -> np.ndarray:
    """Return images, uint8 (N, resize, resize, 3), after a corruption; `files` are their sha256."""
    corruption = CORRUPTIONS[name]
    result = np.empty_like(pixels)
    for i, (image, sha256) in enumerate(zip(pixels, files, strict=True)):
        chance = np.random.default_rng([seed, list(CORRUPTIONS).index(name), int(sha256, 16)])
        changed = corruption.change(image, corruption.settings[severity - 1], chance, crop)
        result[i] = np.rint(np.clip(changed, 0, 255))
    return result
