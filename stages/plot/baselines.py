"""The accuracy with its interval, beside what a model has to beat."""

from matplotlib.figure import Figure

from plumbline.results.measures_file import Measures
from stages.plot.style import LINES, SPLITS

ROWS = {"accuracy": "this model", "probe_accuracy": "linear probe", "majority_accuracy": "commonest class"}


def draw_baselines(measures: Measures, confidence: float) -> Figure:
    """Return the figure for plots/measures.csv: one line a model and split, from end to end of its interval."""
    splits = [split for split in SPLITS if (split, "accuracy") in measures]
    figure = Figure(figsize=(6.4, 1.6 + 0.28 * len(ROWS) * len(splits)), layout="constrained")
    axes = figure.subplots()
    for s, split in enumerate(splits):
        style = LINES[split] | {"linestyle": "none", "markersize": 6}
        places = [row * (len(splits) + 1) + s for row in range(len(ROWS))]
        shown = [measures[split, name] for name in ROWS]
        values, low, high = ([getattr(own, end) for own in shown] for end in ("value", "low", "high"))
        label = f"{split}, {shown[0].images} images"
        axes.hlines(places, low, high, color=style["color"], linewidth=2)
        axes.plot(values, places, label=label, **style)
        for value, place, end in zip(values, places, high, strict=True):
            axes.text(end + 0.02, place, f"{value:.3f}", va="center", fontsize=8)
    middles = [row * (len(splits) + 1) + (len(splits) - 1) / 2 for row in range(len(ROWS))]
    axes.set_yticks(middles, list(ROWS.values()))
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set(title=f"Accuracy with its {confidence:.0%} interval", xlabel="accuracy (fraction right)", xlim=(0, 1.12))
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(splits))
    return figure
