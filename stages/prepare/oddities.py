"""Note images that are used but unlike the rest: a person should look at them, and name the wrong ones in data.exclude.

A placeholder that says "image not found" is a perfectly good image; what gives it away is that it is the
one GIF among photographs, and that it is nearly blank.
"""

from collections import Counter

import numpy as np

from stages.prepare.reading import UsableImage

RARE = 0.01  # of all images; a format that fewer have ...
COMMON = 0.9  # ... while this many have one other
FAR_OUT = 3.0  # interquartile ranges below the first quartile; Tukey 1977, Exploratory Data Analysis, 2D
MIN_LOSS = 1.0  # bits below the median; among images that are all alike, a little less is far out too
MIN_VISIBLE = 0.5  # of an image, in the centre square


def note_oddities(images: list[UsableImage]) -> dict[str, int]:
    """Add to each image's notes what is odd about it among `images`; return how many have each oddity."""
    oddities = {"rare_format": rare_formats(images), "plain": plain(images), "mostly_cut_off": mostly_cut_off(images)}
    for found in oddities.values():
        for image, note in found:
            image.notes.append(note)
    return {f"{name}_images": len(found) for name, found in oddities.items()}


def rare_formats(images: list[UsableImage]) -> list[tuple[UsableImage, str]]:
    """Return the images of a format that hardly any have, where nearly all have one other."""
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


def plain(images: list[UsableImage]) -> list[tuple[UsableImage, str]]:
    """Return the images with far less detail than the rest: nearly blank ones."""
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


def mostly_cut_off(images: list[UsableImage]) -> list[tuple[UsableImage, str]]:
    """Return the images of which the centre square holds less than half."""
    shares = [
        (image, min(image.facts.width, image.facts.height) / max(image.facts.width, image.facts.height))
        for image in images
    ]
    return [
        (image, f"mostly cut off: the centre square holds {share:.0%}")
        for image, share in shares
        if share < MIN_VISIBLE
    ]
