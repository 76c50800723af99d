"""Compare two models on the same changed images: the difference at each severity with its interval, and one number."""

import numpy as np
import pandas as pd

from plumbline.params.evaluate import Evaluate
from plumbline.results.intervals import difference_of_shares
from plumbline.results.measures_file import Measure
from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES
from tools.robustness.results import CLEAN, Answers, relative_of, relative_of_samples


def difference_table(model: Answers, against: Answers, clusters: np.ndarray | None, confidence: float) -> pd.DataFrame:
    """Return one row a corruption and severity, the images as they are first: both accuracies, and how much higher that
    of `model` is, with Newcombe's paired interval; clusters (N,) as in intervals."""
    rows = []
    both = {(CLEAN, 0): (model.clean, against.clean)}
    both |= {key: (right, against.corrupted[key]) for key, right in model.corrupted.items()}
    for (name, severity), (right, others) in both.items():
        difference = difference_of_shares(others, right, confidence, clusters)
        rows.append((name, severity, right.mean(), others.mean(), difference.value, difference.low, difference.high))
    columns = ["corruption", "severity", "accuracy", "against", "difference", "low", "high"]
    return pd.DataFrame(rows, columns=columns).assign(images=len(model.clean))


def relative_difference(
    both: list[Answers], labels: np.ndarray, clusters: np.ndarray | None, settings: Evaluate, seed: int
) -> Measure:
    """Return how much higher the mean relative accuracy of the first model is, with the bootstrap's paired interval."""
    samples = relative_of_samples(both, labels, clusters, settings, seed)
    low, high = np.quantile(
        samples[:, 0] - samples[:, 1], [(1 - settings.confidence) / 2, (1 + settings.confidence) / 2]
    )
    value = relative_of(both[0]) - relative_of(both[1])
    return Measure(value, len(labels), float(low), float(high))


def difference_as_text(table: pd.DataFrame, relative: Measure, names: list[str], confidence: float) -> str:
    """Return the differences at each severity, a row a corruption, with a star where an interval leaves out 0."""
    marked = [f"{row.difference:+.3f}{' ' if row.low <= 0 <= row.high else '*'}" for row in table.itertuples()]
    clean, rest = table.iloc[0], table.assign(marked=marked).iloc[1:]
    wide = rest.pivot(index="corruption", columns="severity", values="marked").loc[list(CORRUPTIONS)]
    lines = wide[list(SEVERITIES)].reset_index().to_string(index=False)
    model, against = names
    return (
        f"accuracy of {model} less that of {against} on the same images, by severity; as they are "
        f"{clean['difference']:+.3f}, {confidence:.0%} interval [{clean['low']:+.3f}, {clean['high']:+.3f}]\n\n"
        f"{lines}\n\n"
        f"*: its {confidence:.0%} interval leaves out 0; of 40 differences of equal models a few do by chance\n"
        f"mean relative accuracy {relative.value:+.3f}, {confidence:.0%} interval [{relative.low:+.3f}, "
        f"{relative.high:+.3f}]"
    )
