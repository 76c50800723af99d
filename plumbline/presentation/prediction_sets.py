"""Say how often prediction sets hold the true class: the same in the report and in the model card."""

from plumbline.presentation.percent import percent
from plumbline.results.measures_file import Measures


def prediction_sets(measures: Measures, split: str, coverage: float) -> str | None:
    """Return what `evaluate` measured on `split`, its last, of sets with evaluate.coverage; None where it did not."""
    if (split, "set_coverage") not in measures:
        return None
    share, size = measures[split, "set_coverage"], measures[split, "set_size"]
    ends = "" if size.low is None else f" ({size.low:.2f} to {size.high:.2f})"
    return (
        f"Sets of classes that are to hold the true one of {percent(coverage)} of images, as tools.predict --coverage "
        f"gives them, hold it of {percent(share.value)} ({percent(share.low)} to {percent(share.high)}) of "
        f"{share.images:,} {split} images. A set has {size.value:.2f}{ends} classes on average."
    )
