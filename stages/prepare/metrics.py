"""Count what the audit found, and compute the mean and deviation of the pixels of train."""

from collections import Counter

import numpy as np
import pandas as pd

from stages.prepare.audit import Audit
from stages.prepare.parallel_decoding import UsableImage

# Of the quarantine. What the policies drop is not among them: findings are counted under any policy.
REASONS = (
    "empty", "not an image", "unsupported", "truncated", "damaged", "too large", "too long", "too small",
    "unreadable", "bad name", "misplaced", "excluded",
)  # fmt: skip
OF_TABLES = ("no label", "no file")  # counted only where there are some
CHANNELS = ("red", "green", "blue")

# What `dvc metrics` shows; data/audit/counts.csv has every count.
FIRST = ("train_images", "val_images", "test_images", "groups", "images_without_group")
OF_CORRECTIONS = ("corrections_applied", "corrections_stale", "corrections_unknown")  # where there are corrections
HEADLINE = ("classes", "quarantined", "conflicting_labels", "duplicates", "near_duplicates", "noted")


def counts(splits: dict[str, list[UsableImage]], audit: Audit, classes: list[str]) -> dict[str, int]:
    """Return the numbers of images, and of what is unusual about them."""
    per_class = Counter(image.candidate.class_name for image in splits["train"])
    images = [image for members in splits.values() for image in members]
    noted = audit.notes_by_image()
    reasons = Counter(why.reason for _, why in audit.quarantine)
    groups = Counter(image.candidate.group for image in images)
    ungrouped = groups.pop(None, 0)
    return {
        **{f"{split}_images": len(members) for split, members in splits.items()},
        "classes": len(classes),
        **({"groups": len(groups), "images_without_group": ungrouped} if groups else {}),
        "smallest_class_train_images": min(per_class[name] for name in classes),
        "largest_class_train_images": max(per_class.values()),
        "quarantined": len(audit.quarantine),
        **{f"quarantined_{reason.replace(' ', '_')}": reasons[reason] for reason in REASONS},
        **{f"quarantined_{reason.replace(' ', '_')}": reasons[reason] for reason in OF_TABLES if reasons[reason]},
        **audit.counts,
        "turned_by_orientation": sum(image.facts.orientation != 1 for image in images),
        "of_more_than_8_bits": sum(image.facts.wide for image in images),
        "animated": sum(image.facts.animated for image in images),
        "named_as_another_format": sum(image.misnamed for image in images),
        "noted": sum(image.candidate.name in noted for image in images),
    }


def headline(counts: dict[str, int]) -> dict[str, int | float]:
    """Return the metrics: the images of each split, the imbalance of the classes, and the totals of the audit."""
    images = {key: counts[key] for key in FIRST if key in counts}
    imbalance = counts["largest_class_train_images"] / counts["smallest_class_train_images"]
    corrections = {key: counts[key] for key in OF_CORRECTIONS if key in counts}
    return images | {"class_imbalance": imbalance} | {key: counts[key] for key in HEADLINE} | corrections


def pixels_table(images: list[UsableImage], size: int) -> pd.DataFrame:
    """Return the mean and standard deviation of each channel over the train images' pixels, in [0, 1].

    They are computed from exact integer sums, so that they do not depend on the order of the images.
    """
    pixels = len(images) * size**2
    rows = []
    for channel, name in enumerate(CHANNELS):
        mean = sum(image.facts.sums[channel] for image in images) / pixels
        square = sum(image.facts.squares[channel] for image in images) / pixels
        rows.append([name, mean / 255, float(np.sqrt(max(square - mean**2, 0))) / 255])
    return pd.DataFrame(rows, columns=["channel", "mean", "std"])
