"""Count what the audit found, and compute the mean and deviation of the pixels of train."""

from collections import Counter

import numpy as np

from stages.prepare.audit import Audit
from stages.prepare.parallel_decoding import UsableImage

# Of the quarantine. What the policies drop is not among them: findings are counted under any policy.
REASONS = (
    "empty", "not an image", "truncated", "damaged", "too large", "too long", "too small", "unreadable", "bad name",
    "misplaced", "excluded",
)  # fmt: skip
CHANNELS = ("red", "green", "blue")


def summary(
    splits: dict[str, list[UsableImage]], audit: Audit, classes: list[str], size: int
) -> dict[str, int | float]:
    """Return the metrics: counts of images, of what is unusual about them, and the mean and deviation of the pixels."""
    per_class = Counter(image.candidate.class_name for image in splits["train"])
    smallest, largest = min(per_class[name] for name in classes), max(per_class.values())
    images = [image for members in splits.values() for image in members]
    noted = audit.notes_by_image()
    reasons = Counter(why.reason for _, why in audit.quarantine)
    return {
        **{f"{split}_images": len(members) for split, members in splits.items()},
        "classes": len(classes),
        "smallest_class_train_images": smallest,
        "largest_class_train_images": largest,
        "class_imbalance": largest / smallest,
        "quarantined": len(audit.quarantine),
        **{f"quarantined_{reason.replace(' ', '_')}": reasons[reason] for reason in REASONS},
        **audit.counts,
        "turned_by_orientation": sum(image.facts.orientation != 1 for image in images),
        "animated": sum(image.facts.animated for image in images),
        "named_as_another_format": sum(image.misnamed for image in images),
        "noted": sum(image.candidate.name in noted for image in images),
        **channel_metrics(splits["train"], size),
    }


def channel_metrics(images: list[UsableImage], size: int) -> dict[str, float]:
    """Return the mean and deviation of each channel over the train images' pixels, in [0, 1].

    They are computed from exact integer sums, so that they do not depend on the order of the images.
    """
    pixels = len(images) * size**2
    metrics = {}
    for channel, name in enumerate(CHANNELS):
        mean = sum(image.facts.sums[channel] for image in images) / pixels
        square = sum(image.facts.squares[channel] for image in images) / pixels
        metrics[f"train_{name}_mean"] = mean / 255
        metrics[f"train_{name}_std"] = float(np.sqrt(max(square - mean**2, 0))) / 255
    return metrics
