"""Draw every figure: those of the homework, and the data, training, result and mistakes of the run.

Reads tables and metrics of the stages before; writes each figure as PNG under plots/ and, for the report, as SVG
under data/figures. The same input gives the same bytes.
"""

import json
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from plumbline.audit.tables import read_counts, read_images, read_quarantine
from plumbline.data.prepared import read_classes, read_manifest
from plumbline.params.evaluate import Evaluate
from plumbline.params.finetune import Finetune
from plumbline.params.weights import Weights
from plumbline.presentation.figure_style import STYLE, save
from plumbline.presentation.fonts import families_for
from plumbline.results.measures_file import Measures, read_measures
from plumbline.results.predictions_file import read_predictions
from plumbline.results.tables import read_metrics, read_table
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import SomeSections
from plumbline.run.outputs import whole_folder
from plumbline.run.paths import FIGURES, GALLERY, TRACED_GRAPH
from stages.plot.accuracy_and_confusion import draw_baselines, draw_confusion
from stages.plot.computational_graph import Graph, draw_graph, draw_tall_graph
from stages.plot.data_audit import draw_data_audit
from stages.plot.gallery import draw_gallery
from stages.plot.homework_figures import draw_cost_ratio, draw_network_layers, draw_step_size, draw_weight_decay
from stages.plot.reliability import draw_reliability
from stages.plot.roc_and_precision_recall import draw_trade_offs
from stages.plot.training_curves import draw_curves, draw_learning_rate

PLOTS = Path("plots")


class Params(SomeSections):
    weights: Weights
    finetune: Finetune
    evaluate: Evaluate


def read_plot_table(name: str) -> pd.DataFrame:
    """Return a table under plots/."""
    return read_table(PLOTS / f"{name}.csv")


def step_size_limits(lr: float, measures: Measures) -> dict[str, tuple[float, float]]:
    """Return the largest step sizes for the run, as far as they are known, by what they ensure: from and to."""
    stable = measures.get(("train", "lr_over_curvature_limit"))
    sign = read_metrics("weight_decay")["finetune_lr_over_limit"]
    shares = {"stable": (stable.low, stable.high) if stable else (0.0, 0.0), "keeps the sign": (sign, sign)}
    return {name: (lr / high, lr / low) for name, (low, high) in shares.items() if low}


def read_graph() -> Graph:
    """Return the computational graph of problem 1."""
    return json.loads(TRACED_GRAPH.read_text(encoding="utf-8"))


def figures(settings: Params) -> dict[str, Figure]:
    """Return every figure by its name."""
    history, predictions = read_plot_table("history"), read_predictions()
    sizes = predictions["split"].value_counts().to_dict()
    measures, lr = read_measures(), settings.finetune.lr
    gallery = read_table(GALLERY / "gallery.csv")
    return {
        "computational_graph": draw_graph(read_graph()),
        "worked_example": draw_graph(read_graph(), numbers=True),
        "cost_ratio": draw_cost_ratio(read_plot_table("cost_ratio")),
        "network_layers": draw_network_layers(read_plot_table("network_layers"), settings.weights.architecture),
        "weight_decay": draw_weight_decay(read_plot_table("weight_decay")),
        "step_size": draw_step_size(lr, step_size_limits(lr, measures)),
        "data": draw_data_audit(read_manifest(), read_images(), read_quarantine(), read_counts()),
        "loss": draw_curves(history, sizes, "loss", "(cross-entropy, nats)"),
        "accuracy": draw_curves(history, sizes, "accuracy", "(fraction right)"),
        "learning_rate": draw_learning_rate(history),
        "confusion": draw_confusion(predictions, read_classes()),
        "trade_offs": draw_trade_offs(read_plot_table("roc"), read_plot_table("precision_recall"), sizes),
        "reliability": draw_reliability(read_plot_table("reliability"), measures["val", "temperature"].value),
        "baselines": draw_baselines(measures, settings.evaluate.confidence),
        "gallery": draw_gallery(gallery, GALLERY),
    }


def main() -> None:
    settings = params_file.load(Params)
    families = families_for("".join(read_classes()))
    with mpl.rc_context(STYLE | {"font.family": families}), whole_folder(FIGURES) as folder:
        drawn = figures(settings)
        for name, figure in drawn.items():
            save(figure, PLOTS / f"{name}.png")
            save(figure, folder / f"{name}.svg", transparent=True)  # the report has a dark scheme
        for name, numbers in (("computational_graph_tall", False), ("worked_example_tall", True)):
            save(draw_tall_graph(read_graph(), numbers=numbers), folder / f"{name}.svg", transparent=True)


if __name__ == "__main__":
    run(main)
