"""Print a comparison as text or Markdown."""

import shlex
from typing import Any

import pandas as pd

from plumbline.results.measures_file import MEASURES
from plumbline.run.dotted_keys import written
from plumbline.run.errors import one_line
from tools.compare.revisions import SEED
from tools.compare.statistics import LEVEL, POWER

LISTED = 10  # images of each side; --json has all
FEW = 10  # images on which the models differ


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
        f"A is {a}, B is {b}; {images_compared(found)}",
        corrected_images(found, "B's"),
        table(rows, markdown),
        f"A alone is right on {images(only_a)}, B alone on {images(only_b)}; {test_of(found)} is "
        f"{found['mcnemar_p']:.3g}: {verdict(found['mcnemar_p'])}, for these two models on images like these",
        few_discordant(found),
        training_luck(found),
        *listed("A alone is right on", only_a),
        *listed("B alone is right on", only_b),
        sample_size(found),
        unpaired_table(found, markdown),
        params_table(found, markdown),
        what_the_split_is_for(found["split"]),
    ]
    return "\n\n".join(part for part in parts if part)


def images_compared(found: dict[str, Any]) -> str:
    """Return how many images of which split are compared, and how many of them are independent."""
    own = f"{found['split']}, {found['images']} images"
    if found["clusters"] is None:
        return own
    return f"{own} in {found['clusters']} independent groups, copies or images: tests and intervals allow for it"


def corrected_images(found: dict[str, Any], whose: str) -> str:
    """Return by whose labels all models are judged, where labels differ, and how many images are not compared."""
    labels, left_out = found["relabelled"], found["left_out"]
    lines = []
    if labels:
        lines.append(
            f"The labels of {images(labels)} differ: all models are judged by {whose} labels, which neither loss nor "
            "Brier score can be, for plots/predictions.csv has the probability of the predicted class alone."
        )
    if left_out:
        lines.append(f"Not compared, because corrections exclude them or bring them back: {images(left_out)}.")
    return "\n".join(lines)


def test_of(found: dict[str, Any]) -> str:
    """Return the name of the p-value of two models."""
    return "McNemar's exact p" if found["clusters"] is None else "the exact p of McNemar's test with groups as units"


def few_discordant(found: dict[str, Any]) -> str:
    """Return a warning where so few images differ that the bootstrap, which draws among them, is too narrow."""
    discordant = len(found["right_in_a_alone"]) + len(found["right_in_b_alone"])
    resampled = [name for name in found["metrics"] if name != "accuracy"]
    if discordant >= FEW or not resampled:
        return ""
    return (
        f"The models differ in {discordant} of the answers: the bootstrap intervals, those of {', '.join(resampled)}, "
        "are too narrow; that of the accuracy, Newcombe's, is not."
    )


def training_luck(found: dict[str, Any]) -> str:
    """Return a sentence on the luck of the training, which the test leaves out, and what to run to include it."""
    differing = found["params"]
    if not differing:
        return ""
    if set(differing) == {SEED}:
        return "A and B are one recipe with two seeds: their difference is what a seed changes."
    a, b = (
        " ".join(f"-S {shlex.quote(f'{key}={written(values[i])}')}" for key, values in differing.items() if key != SEED)
        for i in range(2)
    )
    return (
        "Each model is one run with one seed, and another seed may turn the result. To compare the parameters, run "
        "both with several seeds, and give all these experiments to this command:\n"
        f"  dvc exp run --queue {a} -S {SEED}=0,1,2,3,4 evaluate\n"
        f"  dvc exp run --queue {b} -S {SEED}=0,1,2,3,4 evaluate\n"
        "  dvc queue start"
    )


def what_the_split_is_for(split: str) -> str:
    """Return a line that says whether to choose by these images."""
    if split == "test":
        return "These are test images: look once, at the end. The accuracy of a revision chosen by them is too high."
    return f"These are {split} images: choose by them, and look at test once, at the end, with --split test."


def unpaired_table(found: dict[str, Any], markdown: bool) -> str:
    """Return the measures that are not paired, each revision's with its own interval."""
    rows = [
        {"measure": name} | {which: with_interval(own) for which, own in zip("AB", values, strict=True)}
        for name, values in found["unpaired"].items()
    ]
    labels = ", and by the labels of its own run" if found["relabelled"] else ""
    return f"Each with its own interval{labels}, from {MEASURES}:\n\n{table(rows, markdown)}" if rows else ""


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
        | {key: f"{own[key]:.4f}" for key in ("mean", "deviation") if key in own}
        for name, own in found["metrics"].items()
    ]
    pairs = [
        {
            "A": pair["a"],
            "B": pair["b"],
            "accuracy, B - A": f"{pair['accuracy_difference']:+.4f}",
            "A alone right": pair["right_in_a_alone"],
            "B alone right": pair["right_in_b_alone"],
            "p": f"{pair['mcnemar_p']:.3g}",
            "after Holm": f"{pair['holm_p']:.3g}",
        }
        for pair in found["pairs"]
    ]
    real = sum(pair["holm_p"] < LEVEL for pair in found["pairs"])
    parts = [
        images_compared(found),
        corrected_images(found, f"{one_line(found['revisions'][-1])}'s"),
        table(rows, markdown),
        table(pairs, markdown),
        f"p is {test_of(found)}",
        f"{real} of {len(pairs)} pairs differ by more than luck, at the {LEVEL:.0%} level after Holm's correction, for "
        "these models on images like these",
        recipes(found),
        params_table(found, markdown),
        what_the_split_is_for(found["split"]),
    ]
    return "\n\n".join(part for part in parts if part)


def recipes(found: dict[str, Any]) -> str:
    """Return the comparison of two recipes over their seeds, or what it would take."""
    own = found["over_seeds"]
    if own is None:
        if set(found["params"]) <= {SEED}:
            return ""
        return (
            "Each pair is two models, not two recipes: two recipes with several seeds each are compared over the seeds."
        )
    a, b = (", ".join(map(one_line, own[which])) for which in "ab")
    interval = f"{found['confidence']:.0%} interval {own['low']:+.4f} to {own['high']:+.4f}"
    return (
        f"Over seeds, A is {a} and B is {b}: accuracy, B - A, {own['difference']:+.4f}, {interval}; p is "
        f"{own['p']:.3g}: {verdict(own['p'])}, of the training or of the images"
    )


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
        f"To see a difference in accuracy of this size, if it is the true one, takes about "
        f"{found['images_needed']:,} images ({LEVEL:.0%} level, {POWER:.0%} power); here are {found['images']:,}."
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
