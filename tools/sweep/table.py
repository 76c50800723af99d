"""Print a sweep as text or Markdown."""

import pandas as pd

from plumbline.results.intervals import share_of_images, share_with_interval
from plumbline.run.dotted_keys import written
from plumbline.run.errors import one_line
from tools.sweep.experiments import Sweep, stated


def as_text(sweep: Sweep, differing: list[str], *, markdown: bool) -> str:
    """Return the finished experiments, the best first, with the parameters that differ, then the unfinished ones."""
    rows = [
        {
            "experiment": one_line(experiment.name),
            f"{sweep.split} accuracy": f"{experiment.accuracy:.4f}",
            f"{sweep.confidence:.0%} interval": f"{experiment.low:.4f} to {experiment.high:.4f}",
        }
        | {key: one_line(written(experiment.params.get(key))) for key in differing}
        for experiment in sweep.best_first
    ]
    frame = pd.DataFrame(rows)
    table = frame.to_markdown(index=False, disable_numparse=True) if markdown else frame.to_string(index=False)
    missing = f"Not among them: {one_line(stated(sweep.unfinished))}" if sweep.unfinished else ""
    return "\n\n".join(part for part in (table, choice(sweep), other_images(sweep), missing) if part)


def other_images(sweep: Sweep) -> str:
    """Return which experiments have other images in the split than the best, as with other data or another fold."""
    names = ", ".join(one_line(experiment.name) for experiment in sweep.on_other_images)
    return names and (
        f"Other {sweep.split} images than those of the best: {names}; their accuracies and its own cannot be compared"
    )


def choice(sweep: Sweep) -> str:
    """Return what the choice of the best does to its accuracy: an interval that allows for it, and what to run next.

    The interval's error is shared among the experiments on its images, so that all intervals hold at once (Bonferroni).
    It allows for images that belong together where the experiment says which do.
    """
    best, number = sweep.best_first[0], len(sweep.experiments) - len(sweep.on_other_images)
    if number == 1:
        return ""
    level = 1 - (1 - sweep.confidence) / number
    if sweep.answers:
        wide = share_of_images(*sweep.answers, level)
    else:
        wide = share_with_interval(round(best.accuracy * best.images), best.images, level)
    end = "look at test once, at the end" if sweep.split == "val" else "choose by val instead"
    return (
        f"{one_line(best.name)} is the best of {number}, which makes its {sweep.split} accuracy too high and its "
        f"interval too narrow: allowing for the choice it is {wide.low:.4f} to {wide.high:.4f}; {end}"
    )
