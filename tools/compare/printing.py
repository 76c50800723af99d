"""Print a comparison as text or Markdown."""

from typing import Any

import pandas as pd

from plumbline.results.measures_file import MEASURES
from plumbline.run.errors import one_line
from tools.compare.statistics import LEVEL, POWER

LISTED = 10  # images of each side; --json has all


def two_as_text(found: dict[str, Any], *, markdown: bool) -> str:
    """Return the comparison of two revisions."""
    rows = [
        {
            "metric": name,
            "A": f"{own['a']:.4f}",
            "B": f"{own['b']:.4f}",
            "B - A": f"{own['difference']:+.4f}",
            f"{found['confidence']:.0%} interval": f"{own['low']:+.4f} to {own['high']:+.4f}",
        }
        for name, own in found["metrics"].items()
    ]
    only_a, only_b = found["right_in_a_alone"], found["right_in_b_alone"]
    a, b = found["revisions"]
    parts = [
        f"A is {a}, B is {b}; {found['split']}, {found['images']} images",
        table(rows, markdown),
        f"A alone is right on {images(only_a)}, B alone on {images(only_b)}; McNemar's exact p is "
        f"{found['mcnemar_p']:.3g}: {verdict(found['mcnemar_p'])}",
        *listed("A alone is right on", only_a),
        *listed("B alone is right on", only_b),
        sample_size(found),
        unpaired_table(found, markdown),
        params_table(found, markdown),
    ]
    return "\n\n".join(part for part in parts if part)


def unpaired_table(found: dict[str, Any], markdown: bool) -> str:
    """Return the measures that are not paired, each revision's with its own interval."""
    rows = [
        {"measure": name} | {which: with_interval(own) for which, own in zip("AB", values, strict=True)}
        for name, values in found["unpaired"].items()
    ]
    return f"Each with its own interval, from {MEASURES}:\n\n{table(rows, markdown)}" if rows else ""


def with_interval(measure: dict[str, Any] | None) -> str:
    """Return a measure's value and its interval, where it has one."""
    if measure is None:
        return "-"
    ends = "" if measure["low"] is None else f" [{measure['low']:.4f}, {measure['high']:.4f}]"
    return f"{measure['value']:.4f}{ends}"


def many_as_text(found: dict[str, Any], *, markdown: bool) -> str:
    """Return the comparison of several revisions."""
    rows = [
        {"metric": name}
        | {revision: f"{value:.4f}" for revision, value in zip(found["revisions"], own["values"], strict=True)}
        | {"mean": f"{own['mean']:.4f}", "deviation": f"{own['deviation']:.4f}"}
        for name, own in found["metrics"].items()
    ]
    pairs = [
        {
            "A": pair["a"],
            "B": pair["b"],
            "accuracy, B - A": f"{pair['accuracy_difference']:+.4f}",
            "A alone right": pair["right_in_a_alone"],
            "B alone right": pair["right_in_b_alone"],
            "McNemar p": f"{pair['mcnemar_p']:.3g}",
            "after Holm": f"{pair['holm_p']:.3g}",
        }
        for pair in found["pairs"]
    ]
    real = sum(pair["holm_p"] < LEVEL for pair in found["pairs"])
    parts = [
        f"{found['split']}, {found['images']} images",
        table(rows, markdown),
        table(pairs, markdown),
        f"{real} of {len(pairs)} pairs differ by more than luck, at the {LEVEL:.0%} level after Holm's correction",
        params_table(found, markdown),
    ]
    return "\n\n".join(part for part in parts if part)


def verdict(p: float) -> str:
    """Return what a p-value means."""
    return "more than luck" if p < LEVEL else "this may be luck"


def images(paths: list[str]) -> str:
    """Return the number of images in words."""
    return f"{len(paths)} image{'' if len(paths) == 1 else 's'}"


def listed(what: str, paths: list[str]) -> list[str]:
    """Return the first of the images, one a line."""
    if not paths:
        return []
    more = [f"  and {len(paths) - LISTED} more; --json names them"] if len(paths) > LISTED else []
    return ["\n".join([f"{what}", *(f"  {one_line(path)}" for path in paths[:LISTED]), *more])]


def sample_size(found: dict[str, Any]) -> str:
    """Return a sentence: how many images it takes to show a difference in accuracy of this size."""
    if found["images_needed"] is None:
        return "The accuracies are the same: no number of images would show a difference of this size."
    return (
        f"To see a difference in accuracy of this size takes about {found['images_needed']:,} images "
        f"({LEVEL:.0%} level, {POWER:.0%} power); here are {found['images']:,}."
    )


def params_table(found: dict[str, Any], markdown: bool) -> str:
    """Return the parameters that differ, with their values."""
    names = ["A", "B"] if len(found["revisions"]) == 2 else found["revisions"]
    rows = [
        {"parameter": key} | dict(zip(names, map(str, values), strict=True)) for key, values in found["params"].items()
    ]
    return table(rows, markdown) if rows else "No parameter differs."


def table(rows: list[dict[str, Any]], markdown: bool) -> str:
    """Return rows as aligned text, or as a Markdown table."""
    frame = pd.DataFrame(rows).map(lambda value: one_line(str(value)))
    return frame.to_markdown(index=False, disable_numparse=True) if markdown else frame.to_string(index=False)
