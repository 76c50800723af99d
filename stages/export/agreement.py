"""Compare each exported file with torch on the same images, and refuse a float32 file that is too far from it.

Eight bits change the probabilities by design: for them the stage reports what they cost in accuracy.
"""

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from plumbline.checks.claims import Checks
from plumbline.results.intervals import difference_of_shares


class Outputs(NamedTuple):
    """What a model says of images; of one without a score of unknown images the probabilities alone."""

    probabilities: np.ndarray  # (N, classes)
    unknown: np.ndarray | None = None  # bool (N,)
    p_known: np.ndarray | None = None  # (N,)
    distance: np.ndarray | None = None  # (N,)


class Agreement(NamedTuple):
    """How closely an exported model's probabilities match torch's."""

    largest_difference: float
    same_class: float  # share of the images
    images: int


def agreement(probabilities: np.ndarray, wanted: np.ndarray) -> Agreement:
    """Compare probabilities (N, classes) with torch's, `wanted`; the difference from a NaN is infinite."""
    largest = float(np.abs(probabilities - wanted).max())
    same = float((probabilities.argmax(axis=1) == wanted.argmax(axis=1)).mean())
    return Agreement(math.inf if math.isnan(largest) else largest, same, len(probabilities))


def refuse_other_models(outputs_by_file: dict[str, Outputs], wanted: Outputs, tolerance: float) -> None:
    """Raise UserError if a float32 file's probabilities differ from torch's by more than the tolerance.

    Its distances are held to the same, relative to torch's. Other images may be unknown to it only where a distance is
    at the very threshold: of fewer than 1,000 images none.
    """
    checks = Checks()
    for name, outputs in outputs_by_file.items():
        comparison = agreement(outputs.probabilities, wanted.probabilities)
        of_images = f"{comparison.same_class:.1%} of {comparison.images} val images"
        claim = f"{name}: {of_images} in torch's class, probabilities as torch's"
        checks.expect_error(comparison.largest_difference, tolerance, claim)
        if wanted.distance is not None:
            difference = np.abs(outputs.distance / wanted.distance - 1).max()
            checks.expect_error(float(difference), tolerance, f"{name}: distances as torch's")
            others = int((outputs.unknown != wanted.unknown).sum())
            claim = f"{name}: the images that are unknown are torch's"
            checks.expect(others <= comparison.images // 1000, claim, f"{others} of {comparison.images} are not")
    checks.end()


def agreement_table(
    sizes: dict[str, int],
    outputs_by_file: dict[str, Outputs],
    wanted: Outputs,
    labels: np.ndarray,
    confidence: float,
    clusters: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return one row a file: its bytes, its agreement with torch, its accuracy, and the change from torch's accuracy.

    By file: sizes, and what it says of the images; `wanted` is what torch says, labels are (N,), clusters (N,) as in
    `intervals`.
    """
    right = wanted.probabilities.argmax(axis=1) == labels
    rows = []
    for name, outputs in outputs_by_file.items():
        file_right = outputs.probabilities.argmax(axis=1) == labels
        change = difference_of_shares(right, file_right, confidence, clusters)
        rows.append(
            {
                "file": name,
                "bytes": sizes[name],
                **agreement(outputs.probabilities, wanted.probabilities)._asdict(),
                "accuracy": float(file_right.mean()),
                "accuracy_change": change.value,
                "accuracy_change_low": change.low,
                "accuracy_change_high": change.high,
            }
        )
    return pd.DataFrame(rows)


def print_int8(table: pd.DataFrame) -> None:
    """Print what eight bits cost, if there is such a file."""
    for row in table[table["file"] == "int8"].itertuples():
        print(
            f"      int8: {row.same_class:.1%} in torch's class, largest difference {row.largest_difference:.3f}; "
            f"accuracy {row.accuracy:.3f} for {row.accuracy - row.accuracy_change:.3f}, change "
            f"{row.accuracy_change:+.3f} [{row.accuracy_change_low:+.3f}, {row.accuracy_change_high:+.3f}]"
        )
