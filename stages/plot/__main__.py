"""Draw the homework's figures and the audit of the data from what the other stages measured.

Figure 1, problem 1's computational graph; figure 2, the curves of loss and accuracy; the confusion of each
split; and the data. Reads tables and metrics of the stages before, writes PNG files under plots/; the same
input gives the same bytes.
"""

import json
from pathlib import Path

import matplotlib as mpl
import pandas as pd

from plumbline import params
from plumbline.errors import run
from plumbline.prepared import FOLDER, read_classes, read_manifest
from stages.plot.computational_graph import draw_graph
from stages.plot.confusion import draw_confusion
from stages.plot.curves import draw_curves
from stages.plot.data_audit import draw_data_audit
from stages.plot.style import STYLE, save

HISTORY = Path("plots/history.csv")
PREDICTIONS = Path("plots/predictions.csv")
QUARANTINE = FOLDER / "quarantine.csv"
TRACED_GRAPH = Path("data/derivations/computational_graph.json")
PREPARE_METRICS = Path("metrics/prepare.json")

LOSS = Path("plots/loss.png")
ACCURACY = Path("plots/accuracy.png")
GRAPH = Path("plots/computational_graph.png")
CONFUSION = Path("plots/confusion.png")
DATA = Path("plots/data.png")


def main() -> None:
    params.load()  # nothing in it is used here, but a mistake in it ends every stage
    mpl.rcParams.update(STYLE)
    history = pd.read_csv(HISTORY)
    predictions = pd.read_csv(
        PREDICTIONS, dtype=dict.fromkeys(("split", "path", "actual", "predicted"), str), keep_default_na=False
    )
    quarantine = pd.read_csv(QUARANTINE, dtype=str, keep_default_na=False)
    counts = json.loads(PREPARE_METRICS.read_text(encoding="utf-8"))
    graph = json.loads(TRACED_GRAPH.read_text(encoding="utf-8"))
    sizes = predictions["split"].value_counts().to_dict()
    save(draw_graph(graph), GRAPH)
    save(draw_curves(history, sizes, "loss", "(cross-entropy, nats)"), LOSS)
    save(draw_curves(history, sizes, "accuracy", "(fraction right)"), ACCURACY)
    save(draw_confusion(predictions, read_classes()), CONFUSION)
    save(draw_data_audit(read_manifest(), quarantine, counts), DATA)


if __name__ == "__main__":
    run(main)
