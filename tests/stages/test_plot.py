"""Figures: all of them are drawn, from any class names, and twice the same bytes."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages import plot
from tests.conftest import Workspace

FIGURES = ("accuracy", "computational_graph", "confusion", "loss")


def write_inputs(classes: list[str], epochs: int = 3) -> None:
    for folder in ("plots", "data/prepared"):
        Path(folder).mkdir(parents=True, exist_ok=True)
    Path("data/prepared/classes.json").write_text(json.dumps(classes))
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
    (axes,) = plot.draw_curves(history, {"train": 60, "val": 24}, "loss", "(nats)").axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn == {
        "train, 60 images": history["train_loss"].to_list(),
        "val, 24 images": history["val_loss"].to_list(),
    }
    assert axes.get_xlabel() == "epoch"


def test_the_confusion_has_actual_classes_in_rows() -> None:
    predictions = pd.DataFrame({"split": "val", "actual": list("aab"), "predicted": list("bba")})
    with mpl.rc_context(plot.STYLE):
        (axes,) = plot.draw_confusion(predictions, ["a", "b"]).axes
    assert [text.get_text() for text in axes.texts] == ["0", "2", "1", "0"]
    assert axes.get_title(loc="left") == "val: 0 of 3 right, 0.0%"
