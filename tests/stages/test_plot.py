"""Figures: all of them are drawn, from any class names, and twice the same bytes."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.plot import __main__ as plot
from stages.plot.confusion import draw_confusion
from stages.plot.curves import draw_curves
from stages.plot.data_audit import NOTED, draw_data_audit
from stages.plot.style import MOST_NAMES, STYLE
from stages.prepare.tables import MANIFEST_COLUMNS, QUARANTINE_COLUMNS
from tests.conftest import Workspace

FIGURES = ("accuracy", "computational_graph", "confusion", "data", "loss")
NOTHING_NOTED = dict.fromkeys([*NOTED, "noted"], 0)


def manifest(classes: list[str], images: int = 3, splits: tuple[str, ...] = ("train", "val", "test")) -> pd.DataFrame:
    """Return a manifest with images of that many sizes for each class and split."""
    rows = [
        {"split": split, "path": f"{split}/{label}/{i}", "label": label, "class": name, "width": 8 * 10**i, "height": 9}
        for split in splits
        for label, name in enumerate(classes)
        for i in range(images)
    ]
    return pd.DataFrame(rows).reindex(columns=MANIFEST_COLUMNS, fill_value="")


def write_inputs(classes: list[str], epochs: int = 3) -> None:
    for folder in ("plots", "metrics", "data/prepared"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("data/prepared/classes.json").write_text(json.dumps(classes))
    manifest(classes).to_csv("data/prepared/manifest.csv", index=False)
    quarantine = [(f"{name}/x", "not an image", "") for name in classes]
    pd.DataFrame(quarantine, columns=QUARANTINE_COLUMNS).to_csv(plot.QUARANTINE, index=False)
    plot.PREPARE_METRICS.write_text(json.dumps(dict.fromkeys([*NOTED, "noted"], 1)))
    graph = {
        "nodes": [
            {"name": "x", "symbol": "X", "operation": "", "shape": "(n, d)", "number": ""},
            {"name": "w", "symbol": "W", "operation": "", "shape": "(d, h)", "number": ""},
            {"name": "z", "symbol": "Z", "operation": "X W", "shape": "(n, h)", "number": "0.1"},
        ],
        "edges": [
            {"source": "x", "target": "z", "gradient": r"\partial_Z\, W^T"},
            {"source": "w", "target": "z", "gradient": r"X^T\, \partial_Z"},
        ],
    }
    plot.TRACED_GRAPH.parent.mkdir(parents=True, exist_ok=True)
    plot.TRACED_GRAPH.write_text(json.dumps(graph))
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    values = np.random.default_rng(0).random((epochs, len(columns)))
    pd.DataFrame(values, columns=columns).rename_axis("epoch").reset_index().to_csv(plot.HISTORY, index=False)
    pairs = [(split, a, b) for split in ("train", "val", "test") for a in classes for b in (a, classes[0])]
    pd.DataFrame(pairs, columns=["split", "actual", "predicted"]).to_csv(plot.PREDICTIONS, index=False)


@pytest.mark.parametrize(
    "classes",
    [["3", "8"], ["$x_1$", "a\\b{", "NA"], ["q" * 200, "r" * 200], [f"class {i}" for i in range(100)]],
    ids=["two", "odd", "long", "hundred"],
)
def test_every_figure_is_drawn_and_a_second_run_gives_the_same_bytes(workspace: Workspace, classes: list[str]) -> None:
    write_inputs(classes)
    plot.main()
    first = {name: Path(f"plots/{name}.png").read_bytes() for name in FIGURES}
    plot.main()
    assert {name: Path(f"plots/{name}.png").read_bytes() for name in FIGURES} == first
    for name in FIGURES:
        with Image.open(f"plots/{name}.png") as image:
            assert min(image.size) >= 400
            assert len(image.convert("L").getcolors()) > 10  # not blank


def test_the_curves_are_the_histories(workspace: Workspace) -> None:
    write_inputs(["a", "b"])
    history = pd.read_csv(plot.HISTORY)
    (axes,) = draw_curves(history, {"train": 60, "val": 24}, "loss", "(nats)").axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn == {
        "train, 60 images": history["train_loss"].to_list(),
        "val, 24 images": history["val_loss"].to_list(),
    }
    assert axes.get_xlabel() == "epoch"


def test_the_confusion_has_actual_classes_in_rows() -> None:
    predictions = pd.DataFrame({"split": "val", "actual": list("aab"), "predicted": list("bba")})
    with mpl.rc_context(STYLE):
        (axes,) = draw_confusion(predictions, ["a", "b"]).axes
    assert [text.get_text() for text in axes.texts] == ["0", "2", "1", "0"]
    assert axes.get_title(loc="left") == "val: 0 of 3 right, 0.0%"


def test_the_data_audit_shows_every_count() -> None:
    rows = pd.concat([manifest(["b", "a"], 2, ("train",)), manifest(["b", "a"], 3, ("val",)).query("label == 0")])
    quarantine = pd.DataFrame({"path": list("xyz"), "reason": ["empty", "truncated", "empty"], "detail": ""})
    counts = NOTHING_NOTED | {"animated": 7, "plain_images": 2, "noted": 8}
    with mpl.rc_context(STYLE):
        by_class, sizes, unused, noted = draw_data_audit(rows, quarantine, counts).axes
    assert [name.get_text() for name in by_class.get_yticklabels()] == ["b", "a"]  # in label order
    bars = {group.get_label(): [bar.get_width() for bar in group] for group in by_class.containers}
    assert bars == {"train, 4 images": [2, 2], "val, 3 images": [3, 0]}
    assert sizes.get_title(loc="left") == "Sizes, most often 8 x 9 (3 images)"
    assert unused.get_title(loc="left") == "Not used: 3 files"
    assert [text.get_text() for text in unused.texts] == ["2", "1"]
    assert noted.get_title(loc="left") == "Noted: 8 of 7 used images"
    assert [name.get_text() for name in noted.get_yticklabels()] == ["animated, first frame used", "plain"]


def test_the_data_audit_of_many_classes_shows_the_smallest_and_says_so() -> None:
    rows = manifest([f"class {i}" for i in range(100)], 2)
    rows = rows[~((rows["label"] == 70) & (rows["split"] != "train"))]
    quarantine = pd.DataFrame(columns=QUARANTINE_COLUMNS)
    with mpl.rc_context(STYLE):
        by_class, *_ = draw_data_audit(rows, quarantine, NOTHING_NOTED).axes
    names = [name.get_text() for name in by_class.get_yticklabels()]
    assert len(names) == MOST_NAMES
    assert "class 70" in names
    assert by_class.get_title(loc="left") == f"Images by class: the {MOST_NAMES} smallest of 100"
