"""Draw a sweep: the accuracy with its interval, over one parameter, with a line for each value of a second."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from plumbline.presentation.figure_style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY_BLUE,
    STYLE,
    VERMILION,
    save,
)
from plumbline.presentation.fonts import families_for
from plumbline.run.dotted_keys import written
from plumbline.run.errors import one_line
from tools.sweep.experiments import Experiment, Sweep

COLOURS = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY_BLUE, GREY, BLACK)
MARKERS, DASHES = "os^Dvp*X", ("-", "--", ":", "-.")
WIDTH = 0.2  # of the distance between two values: the lines are spread over it, so that their intervals do not overlap


def write_figure(path: Path, sweep: Sweep, keys: list[str]) -> None:
    """Draw the sweep into a file, as PNG or SVG by its suffix; the same sweep gives the same bytes."""
    text = "".join(value_of(key, each) for each in sweep.experiments for key in keys)
    with mpl.rc_context(STYLE | {"font.family": families_for(text)}):
        save(draw(sweep, keys), path)


def draw(sweep: Sweep, keys: list[str]) -> Figure:
    """Return the figure over one or two parameters: the first on the axis, a line for each value of the second."""
    over, *by = keys
    places = {value: place for place, value in enumerate(values_of(over, sweep.experiments))}
    lines = values_of(by[0], sweep.experiments) if by else [None]
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for number, line in enumerate(lines):
        experiments = [each for each in sweep.experiments if not by or value_of(by[0], each) == line]
        experiments.sort(key=lambda each: places[value_of(over, each)])
        shift = WIDTH * (number - (len(lines) - 1) / 2) / len(lines)
        axes.errorbar(
            [places[value_of(over, each)] + shift for each in experiments],
            [each.accuracy for each in experiments],
            yerr=[arms(experiments, -1), arms(experiments, 1)],
            label=f"{by[0]} {line}" if by else None,
            **line_style(number),
        )
    axes.set_xticks(list(places.values()), list(places))
    axes.set(xlabel=over, ylabel="accuracy (fraction right)")
    axes.set_title(f"{sweep.split} accuracy with its {sweep.confidence:.0%} interval")
    if by:
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=min(len(lines), 3))
    return figure


def arms(experiments: list[Experiment], side: int) -> list[float]:
    """Return the length of each error bar to one side: -1, down, or 1, up; at least 0, whatever the rounding."""
    ends = [each.low if side < 0 else each.high for each in experiments]
    return [max(0.0, side * (end - each.accuracy)) for end, each in zip(ends, experiments, strict=True)]


def line_style(number: int) -> dict[str, Any]:
    """Return the colour, marker and dash of a line, by its number."""
    return {
        "color": COLOURS[number % len(COLOURS)],
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "capsize": 3,
    }


def value_of(key: str, experiment: Experiment) -> str:
    """Return a parameter's value as it stands in params.yaml."""
    return one_line(written(experiment.params.get(key)))


def values_of(key: str, experiments: list[Experiment]) -> list[str]:
    """Return a parameter's values in order: numbers by their size, before all others by their text."""
    return sorted({value_of(key, each) for each in experiments}, key=in_order)


def in_order(value: str) -> tuple[int, float, str]:
    """Return what a value is sorted by."""
    try:
        return 0, float(value), value
    except ValueError:
        return 1, 0.0, value
