"""Where the model is weakest: its accuracy on parts of val and test that have a look or a group in common."""

import itertools

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype
from scipy.stats import fisher_exact
from statsmodels.stats.multitest import multipletests

from plumbline.results.intervals import share_of_images
from plumbline.run.errors import one_line

COLUMNS = ("split", "slice", "images", "accuracy", "low", "high", "others_accuracy", "p", "holm_p")
PARTS = 3  # into which numbers are cut, with equally many images
LEAST = 10  # images of a slice


def slices_table(
    split: str, right: np.ndarray, appearance: pd.DataFrame, clusters: np.ndarray | None, confidence: float
) -> pd.DataFrame:
    """Return one row a slice, the lowest accuracy first, given which images (N,) are right and what each is like.

    p is that of Fisher's exact test of the slice against the other images of the split, which takes images to be
    independent; `holm_p` is corrected for the number of slices.
    """
    rows = []
    for name, inside in slices_of(appearance).items():
        accuracy = share_of_images(right[inside], None if clusters is None else clusters[inside], confidence)
        counts = [[right[part].sum(), (~right[part]).sum()] for part in (inside, ~inside)]
        p = float(fisher_exact(counts).pvalue)
        rows.append(
            (split, name, accuracy.images, accuracy.value, accuracy.low, accuracy.high, right[~inside].mean(), p)
        )
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    table["holm_p"] = multipletests(table["p"], method="holm")[1] if len(table) else []
    return table.sort_values(["accuracy", "p"], kind="stable")


def slices_of(appearance: pd.DataFrame) -> dict[str, np.ndarray]:
    """Return the slices of a split, bool (N,), by their names: of at least LEAST images, and not of all."""
    slices = {}
    for column, values in appearance.drop(columns=["path", "captured"]).items():
        names = parts_of(column, values) if is_numeric_dtype(values) else f"{column} " + values
        counts = names.value_counts().sort_index()
        kept = counts.index[(counts >= LEAST) & (counts < len(names))]
        slices |= {name: (names == name).to_numpy() for name in kept}
    return slices


def parts_of(column: str, values: pd.Series) -> pd.Series:
    """Return the name of each number's part (N,): the number, of few; else a range, with as many images as others."""
    distinct = np.unique(values)
    if len(distinct) <= PARTS:
        return f"{column} " + values.map(dict(zip(distinct, distinct_names(distinct), strict=True)))
    edges = np.unique(np.quantile(values, [part / PARTS for part in range(1, PARTS)]))
    ends = distinct_names(edges)
    names = [f"{column} below {ends[0]}"]
    names += [f"{column} from {low} to {high}" for low, high in itertools.pairwise(ends)]
    names += [f"{column} from {ends[-1]}"]
    return pd.Series(names).iloc[np.searchsorted(edges, values, side="right")]


def distinct_names(numbers: np.ndarray) -> list[str]:
    """Return different numbers (n,) as text: three digits, or as many as their whole part or their differences take."""
    whole_digits = len(f"{np.abs(numbers).max(initial=0):.0f}")
    for digits in range(max(3, whole_digits), 18):  # 17 tell any two apart
        names = [f"{number:.{digits}g}" for number in numbers]
        if len(set(names)) == len(names):
            break
    return names


def line_of_weakest(table: pd.DataFrame, split: str, confidence: float) -> str:
    """Return the line on the weakest slice of a split that is worse than the others by more than luck, or ''."""
    worse = (table["accuracy"] < table["others_accuracy"]) & (table["holm_p"] < 1 - confidence)
    rows = table[worse & (table["split"] == split)]
    if rows.empty:
        return ""
    row = rows.iloc[0]
    return one_line(
        f"{split}: the model is weakest on the {row['images']} images with {row['slice']}, accuracy "
        f"{row['accuracy']:.3f}, interval [{row['low']:.3f}, {row['high']:.3f}], and {row['others_accuracy']:.3f} on "
        f"the others; p is {row['holm_p']:.2g} after Holm"
    )
