"""Say how many images are called unknown: the same in the report and in the model card."""

from plumbline.presentation.percent import percent
from plumbline.results.measures_file import Measure, Measures
from plumbline.run.paths import DIGITS_SOURCE


def unknown_images(measures: Measures, split: str, keep: float, folder: str | None, weights_source: str) -> str | None:
    """Return what `evaluate` measured beside `split`, its last; None for a model that has no score.

    `folder` is evaluate.unknown.images, None where there is none, and `weights_source` weights.source.
    """
    if (split, "auroc_noise") not in measures:
        return None
    if (split, "rejected_noise") not in measures:
        return f"No image can be called unknown: val has too few images to keep {percent(keep)} of the known ones."
    known = measures.get((split, "rejected"))
    of_known = f"{of_images(known)} {split} images (the aim is at most {percent(1 - keep)}), " if known else ""
    pretrained = folder == DIGITS_SOURCE.as_posix() and weights_source == "digits"
    others, inverted, noise = (measures.get((split, f"rejected_{kind}")) for kind in ("unknown", "inverted", "noise"))
    origin = ", on which the network was pre-trained" if pretrained else ""
    of_folder = f"{of_images(others)} images of {folder}{origin}, " if others else ""
    return (
        "The model calls an image unknown if its features are far from those of the training images. It does so for "
        f"{of_known}{of_folder}{of_images(inverted)} {split} images with inverted colours, and {of_images(noise)} "
        "images of noise."
    )


def of_images(share: Measure) -> str:
    """Return a share of images with its interval."""
    return f"{percent(share.value)} ({percent(share.low)} to {percent(share.high)}) of {share.images:,}"
