"""Find images that are unlike the rest. A person should look at them, and name the wrong ones in data.exclude.

A placeholder that says "image not found" decodes without an error. It stands out as the one GIF among JPEGs, and as
nearly blank.
"""

from collections import Counter

import numpy as np

from stages.prepare.duplicates import Finding
from stages.prepare.parallel_decoding import UsableImage

RARE = 0.01  # of all images: a format is rare if fewer have it ...
COMMON = 0.9  # ... and at least this many have one other
FAR_OUT = 3.0  # interquartile ranges below the first quartile; Tukey 1977, Exploratory Data Analysis, 2D
MIN_LOSS = 1.0  # bits below the median: where all images are alike, a small difference is also far out
MIN_VISIBLE = 0.5  # of an image, in the centre square; or of the square, that is image


def rare_formats(images: list[UsableImage]) -> list[Finding]:
    """Return the images of a rare format, where nearly all images have one other format."""
    formats = Counter(image.facts.format for image in images)
    common, most = formats.most_common(1)[0] if formats else ("", 0)
    if most < COMMON * len(images):
        return []
    rare = {name for name, count in formats.items() if count < RARE * len(images)}
    return [
        (image, f"rare format: {formats[image.facts.format]} {image.facts.format} among {most} {common}")
        for image in images
        if image.facts.format in rare
    ]


def nearly_blank(images: list[UsableImage]) -> list[Finding]:
    """Return the images with far less entropy than the rest."""
    if not images:
        return []
    entropies = np.array([image.facts.entropy for image in images])
    first, third = np.quantile(entropies, [0.25, 0.75])
    limit = min(first - FAR_OUT * (third - first), np.median(entropies) - MIN_LOSS)
    return [
        (image, f"plain: {image.facts.entropy:.2f} bits a pixel, the median is {np.median(entropies):.2f}")
        for image in images
        if image.facts.entropy < limit
    ]


def far_from_square(images: list[UsableImage], fit: str) -> list[Finding]:
    """Return the images with one side more than twice the other, and what `image.fit` does to each."""
    shares = [
        (image, min(image.facts.width, image.facts.height) / max(image.facts.width, image.facts.height))
        for image in images
    ]
    return [(image, done_to_it(fit, share)) for image, share in shares if share < MIN_VISIBLE]


def done_to_it(fit: str, share: float) -> str:
    """Return what becomes of an image whose shorter side is this share of the longer one."""
    match fit:
        case "crop":
            return f"mostly cut off: the centre square holds {share:.0%}"
        case "pad":
            return f"mostly padding: the image fills {share:.0%} of the square"
        case _:
            return f"much stretched: one side {1 / share:.1f} times as much as the other"
