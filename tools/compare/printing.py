"""Print a comparison as text or Markdown."""

from typing import Any

import pandas as pd

from plumbline.results.measures_file import MEASURES
from plumbline.run.errors import one_line
from tools.compare.overrides import option
from tools.compare.revisions import SEED
from tools.compare.statistics import LEVEL, POWER

LISTED = 10  # images of each side; --json has all
FEW = 10  # images on which the models differ


def two_as_text(result: dict[str, Any], *, markdown: bool) -> str:
    """Return the comparison of two revisions."""
    rows = [
        {
            "metric": name,
            "A": f"{metric['a']:.4f}",
            "B": f"{metric['b']:.4f}",
            "B - A": f"{metric['difference']:+.4f}",
            f"{result['confidence']:.0%} interval": f"{metric['low']:+.4f} to {metric['high']:+.4f}",
        }
        for name, metric in result["metrics"].items()
    ]
    only_a, only_b = result["right_in_a_alone"], result["right_in_b_alone"]
    a, b = result["revisions"]
    parts = [
        f"A is {a}, B is {b}; {images_compared(result)}",
        corrected_images(result, "B's"),
        table(rows, markdown),
        f"A alone is right on {images(only_a)}, B alone on {images(only_b)}; {test_of(result)} is "
        f"{result['mcnemar_p']:.3g}: {verdict(result['mcnemar_p'])}, for these two models on images like these",
        few_discordant(result),
        training_luck(result),
        *listed("A alone is right on", only_a),
        *listed("B alone is right on", only_b),
        sample_size(result),
        unpaired_table(result, markdown),
        params_table(result, markdown),
        what_the_split_is_for(result["split"]),
    ]
    return "\n\n".join(part for part in parts if part)


def images_compared(result: dict[str, Any]) -> str:
    """Return how many images of which split are compared, and how many of them are independent."""
    line = f"{result['split']}, {result['images']} images"
    if result["clusters"] is None:
        return line
    return f"{line} in {result['clusters']} independent groups, copies or images: tests and intervals allow for it"


def corrected_images(result: dict[str, Any], whose: str) -> str:
    """Return by whose labels all models are judged, where labels differ, and how many images are not compared."""
    labels, left_out = result["relabelled"], result["left_out"]
    lines = []
    if labels:
        lines.append(
            f"The labels of {images(labels)} differ: all models are judged by {whose} labels, which neither loss nor "
            "Brier score can be, for plots/predictions.csv has the probability of the predicted class alone."
        )
    if left_out:
        lines.append(f"Not compared, because corrections exclude them or bring them back: {images(left_out)}.")
    return "\n".join(lines)


def test_of(result: dict[str, Any]) -> str:
    """Return the name of the p-value of two models."""
    return "McNemar's exact p" if result["clusters"] is None else "the exact p of McNemar's test with groups as units"


def few_discordant(result: dict[str, Any]) -> str:
    """Return a warning where so few images differ that the bootstrap, which draws among them, is too narrow."""
    discordant = len(result["right_in_a_alone"]) + len(result["right_in_b_alone"])
    resampled = [name for name in result["metrics"] if name != "accuracy"]
    if discordant >= FEW or not resampled:
        return ""
    return (
        f"The models differ in {discordant} of the answers: the bootstrap intervals, those of {', '.join(resampled)}, "
        "are too narrow; that of the accuracy, Newcombe's, is not."
    )


def training_luck(result: dict[str, Any]) -> str:
    """Return a sentence on the luck of the training, which the test leaves out, and what to run to include it."""
    differing = result["params"]
    if not differing:
        return ""
    if set(differing) == {SEED}:
        return "A and B are one recipe with two seeds: their difference is what a seed changes."
    a, b = (" ".join(option(key, values[i]) for key, values in differing.items() if key != SEED) for i in range(2))
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


def unpaired_table(result: dict[str, Any], markdown: bool) -> str:
    """Return the measures that are not paired, each revision's with its own interval."""
    rows = [
        {"measure": name} | {which: with_interval(measure) for which, measure in zip("AB", values, strict=True)}
        for name, values in result["unpaired"].items()
    ]
    labels = ", and by the labels of its own run" if result["relabelled"] else ""
    return f"Each with its own interval{labels}, from {MEASURES}:\n\n{table(rows, markdown)}" if rows else ""


def with_interval(measure: dict[str, Any] | None) -> str:
    """Return a measure's value and its interval, where it has one."""
    if measure is None:
        return "-"
    ends = "" if measure["low"] is None else f" [{measure['low']:.4f}, {measure['high']:.4f}]"
    return f"{measure['value']:.4f}{ends}"


def many_as_text(result: dict[str, Any], *, markdown: bool) -> str:
    """Return the comparison of several revisions."""
    rows = [
        {"metric": name}
        | {revision: f"{value:.4f}" for revision, value in zip(result["revisions"], metric["values"], strict=True)}
        | {key: f"{metric[key]:.4f}" for key in ("mean", "deviation") if key in metric}
        for name, metric in result["metrics"].items()
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
        for pair in result["pairs"]
    ]
    real = sum(pair["holm_p"] < LEVEL for pair in result["pairs"])
    parts = [
        images_compared(result),
        corrected_images(result, f"{one_line(result['revisions'][-1])}'s"),
        table(rows, markdown),
        table(pairs, markdown),
        f"p is {test_of(result)}",
        f"{real} of {len(pairs)} pairs differ by more than luck, at the {LEVEL:.0%} level after Holm's correction, for "
        "these models on images like these",
        recipes(result),
        params_table(result, markdown),
        what_the_split_is_for(result["split"]),
    ]
    return "\n\n".join(part for part in parts if part)


def recipes(result: dict[str, Any]) -> str:
    """Return the comparison of two recipes over their seeds, or what it would take."""
    over_seeds = result["over_seeds"]
    if over_seeds is None:
        if set(result["params"]) <= {SEED}:
            return ""
        return (
            "Each pair is two models, not two recipes: two recipes with several seeds each are compared over the seeds."
        )
    a, b = (", ".join(map(one_line, over_seeds[which])) for which in "ab")
    interval = f"{result['confidence']:.0%} interval {over_seeds['low']:+.4f} to {over_seeds['high']:+.4f}"
    return (
        f"Over seeds, A is {a} and B is {b}: accuracy, B - A, {over_seeds['difference']:+.4f}, {interval}; p is "
        f"{over_seeds['p']:.3g}: {verdict(over_seeds['p'])}, of the training or of the images"
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


def sample_size(result: dict[str, Any]) -> str:
    """Return a sentence: how many images it takes to show a difference in accuracy of this size."""
    if result["images_needed"] is None:
        return "The accuracies are the same: no number of images would show a difference of this size."
    return (
        f"To see a difference in accuracy of this size, if it is the true one, takes about "
        f"{result['images_needed']:,} images ({LEVEL:.0%} level, {POWER:.0%} power); here are {result['images']:,}."
    )


def params_table(result: dict[str, Any], markdown: bool) -> str:
    """Return the parameters that differ, with their values."""
    names = ["A", "B"] if len(result["revisions"]) == 2 else result["revisions"]
    rows = [
        {"parameter": key} | dict(zip(names, map(str, values), strict=True)) for key, values in result["params"].items()
    ]
    return table(rows, markdown) if rows else "No parameter differs."


def table(rows: list[dict[str, Any]], markdown: bool) -> str:
    """Return rows as aligned text, or as a Markdown table."""
    frame = pd.DataFrame(rows).map(lambda value: one_line(str(value)))
    return frame.to_markdown(index=False, disable_numparse=True) if markdown else frame.to_string(index=False)
