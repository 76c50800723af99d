"""Figures: all of them are drawn, from any class names, and twice the same bytes."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgba
from matplotlib.text import Text
from PIL import Image

from plumbline.presentation.figure_style import LINES, MOST_NAMES, STYLE, save, shortened
from plumbline.results.measures_file import Measure
from stages.plot import __main__ as plot
from stages.plot.accuracy_and_confusion import draw_baselines, draw_confusion
from stages.plot.computational_graph import BACKWARD, FORWARD, draw_graph, draw_tall_graph
from stages.plot.data_audit import NOTED, draw_data_audit
from stages.plot.homework_figures import draw_network_layers, draw_step_size
from stages.plot.reliability import draw_reliability
from stages.plot.roc_and_precision_recall import draw_trade_offs
from stages.plot.training_curves import draw_curves, draw_learning_rate
from stages.prepare.arrays_and_tables import QUARANTINE_COLUMNS
from tests.support.results import make_results

NOTHING_NOTED = dict.fromkeys([*NOTED, "noted"], 0)


def manifest(classes: list[str], images: int = 3, splits: tuple[str, ...] = ("train", "val", "test")) -> pd.DataFrame:
    """Return a manifest with images of that many sizes for each class and split, and the sizes."""
    rows = [
        {"split": split, "path": f"{split}/{label}/{i}", "label": label, "class": name, "width": 8 * 10**i, "height": 9}
        for split in splits
        for label, name in enumerate(classes)
        for i in range(images)
    ]
    return pd.DataFrame(rows)


CLASSES = {
    "odd": ["$x_1$", "a\\b{", "NA", "<script>", "q" * 200, "q" * 199 + "r"],
    "hundred": [f"class {i}" for i in range(100)],
}


@pytest.mark.slow
@pytest.mark.parametrize("which", CLASSES)
def test_every_figure_is_drawn_and_a_second_run_gives_the_same_bytes(
    tiny_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    monkeypatch.chdir(tmp_path)
    make_results(tmp_path, tiny_project, CLASSES[which])
    files = [*plot.PLOTS.glob("*.png"), *plot.FIGURES.glob("*.svg")]
    first = {path: path.read_bytes() for path in files}
    stems = {path.stem for path in plot.PLOTS.glob("*.png")}
    assert stems | {"computational_graph_tall", "worked_example_tall"} == {
        path.stem for path in plot.FIGURES.glob("*.svg")
    }
    plot.main()
    assert {path: path.read_bytes() for path in files} == first
    for path in files:
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert min(image.size) >= 300
                assert max(image.size) <= 3000
                assert len(image.convert("L").getcolors()) > 10  # not blank
        else:
            ElementTree.parse(path)  # whatever the names, it is XML
    texts = "".join(ElementTree.parse(plot.FIGURES / "confusion.svg").getroot().itertext())
    assert all(shortened(name) in texts for name in CLASSES[which][:6])


def test_the_curves_are_the_histories() -> None:
    columns = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")
    values = np.random.default_rng(0).random((3, len(columns)))
    history = pd.DataFrame(values, columns=columns).rename_axis("epoch").reset_index()
    (axes,) = draw_curves(history, {"train": 60, "val": 24}, "loss", "(nats)").axes
    drawn = {line.get_label(): line.get_ydata().tolist() for line in axes.lines}
    assert drawn == {
        "train, 60 images": history["train_loss"].to_list(),
        "val, 24 images": history["val_loss"].to_list(),
    }
    assert axes.get_xlabel() == "epoch"


def test_the_probe_stands_at_minus_one_and_has_no_learning_rate(tmp_path: Path) -> None:
    columns = ("epoch", "train_loss", "val_loss", "learning_rate")
    history = pd.DataFrame([(-1, 0.1, 0.4, 0.0), (0, 0.2, 0.3, 0.01)], columns=columns)
    for rows in (1, 2):
        with mpl.rc_context(STYLE):
            curves = draw_curves(history[:rows], {"train": 60, "val": 24}, "loss", "(nats)")
            rates = draw_learning_rate(history[:rows])
        save(curves, tmp_path / "curves.png")
        save(rates, tmp_path / "rates.png")
        assert curves.axes[0].get_xlabel() == "epoch (-1: the linear probe)"
        assert curves.axes[0].lines[0].get_xdata().tolist() == [-1, 0][:rows]
        assert rates.axes[0].lines[0].get_ydata().tolist() == [0.01][: rows - 1]
        assert rates.axes[0].get_title(loc="left") == "Learning rate at each epoch's last update"


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
        by_class, sizes, unused, noted = draw_data_audit(rows, rows, quarantine, counts).axes
    assert [name.get_text() for name in by_class.get_yticklabels()] == ["b", "a"]  # in label order
    bars = {group.get_label(): [bar.get_width() for bar in group] for group in by_class.containers}
    assert bars == {"train, 4 images": [2, 2], "val, 3 images": [3, 0]}
    assert sizes.get_title(loc="left") == "Sizes, most often 8 x 9 (3 images)"
    assert unused.get_title(loc="left") == "Not used: 3 files"
    assert [text.get_text() for text in unused.texts] == ["2", "1"]
    assert noted.get_title(loc="left") == "Noted: 8 of 7 used images"
    assert [name.get_text() for name in noted.get_yticklabels()] == ["animated, first frame used", "plain"]


def test_the_data_audit_has_no_panel_that_shows_nothing() -> None:
    rows, none = manifest(["a"], 1, ("train", "val")), pd.DataFrame(columns=QUARANTINE_COLUMNS)
    unused = pd.DataFrame({"path": ["x"], "reason": ["empty"], "detail": ""})
    with mpl.rc_context(STYLE):
        (alone,) = draw_data_audit(rows, rows, none, NOTHING_NOTED).axes
        titles = [axes.get_title(loc="left") for axes in draw_data_audit(rows, rows, unused, NOTHING_NOTED).axes]
    assert alone.get_title(loc="left") == "Images by class"
    assert titles == ["Images by class", "Not used: 1 files"]


def test_a_split_has_its_colour_in_every_figure() -> None:
    rows = manifest(["a"])
    with mpl.rc_context(STYLE):
        by_class, *_ = draw_data_audit(rows, rows, pd.DataFrame(columns=QUARANTINE_COLUMNS), NOTHING_NOTED).axes
    colours = {group.get_label().split(",")[0]: to_hex(group[0].get_facecolor()) for group in by_class.containers}
    assert colours == {split: line["color"].lower() for split, line in LINES.items()}


def test_the_data_audit_of_many_classes_shows_the_smallest_and_says_so() -> None:
    rows = manifest([f"class {i}" for i in range(100)], 2)
    rows = rows[~((rows["label"] == 70) & (rows["split"] != "train"))]
    quarantine = pd.DataFrame(columns=QUARANTINE_COLUMNS)
    with mpl.rc_context(STYLE):
        by_class, *_ = draw_data_audit(rows, rows, quarantine, NOTHING_NOTED).axes
    names = [name.get_text() for name in by_class.get_yticklabels()]
    assert len(names) == MOST_NAMES
    assert "class 70" in names
    assert by_class.get_title(loc="left") == f"Images by class: the {MOST_NAMES} smallest of 100"


def test_the_learning_rate_stands_between_its_limits() -> None:
    (axes,) = draw_step_size(0.001, {"stable": (0.01, 0.02), "keeps the sign": (5.0, 5.0)}).axes
    point, *limits = axes.lines
    assert point.get_xdata().tolist() == [0.001]
    assert [line.get_xdata()[0] for line in limits] == [0.01, 5.0]
    assert any("0.01 to 0.02" in text.get_text() for text in axes.texts)
    for unknown in ({}, {"keeps the sign": (5.0, 5.0)}):
        with mpl.rc_context(STYLE):
            (axes,) = draw_step_size(0.001, unknown).axes
        assert axes.get_title(loc="left") == "The learning rate of this run; the largest stable one is not known"
        assert len(axes.patches) == len(unknown)  # nothing is shaded as stable


def test_the_baselines_stand_under_the_model_with_their_intervals() -> None:
    names = ("accuracy", "probe_accuracy", "majority_accuracy")
    measures = {("val", name): Measure(0.9 - i / 10, 24, 0.8 - i / 10, 0.95 - i / 10) for i, name in enumerate(names)}
    (axes,) = draw_baselines(measures, 0.95).axes
    assert axes.lines[0].get_xdata() == pytest.approx([0.9, 0.8, 0.7])
    ends = [segment[:, 0].tolist() for segment in axes.collections[0].get_segments()]
    assert ends == [pytest.approx([0.8 - i / 10, 0.95 - i / 10]) for i in range(3)]
    assert [name.get_text() for name in axes.get_yticklabels()] == ["this model", "linear probe", "most frequent class"]


def test_every_layer_has_its_two_bars() -> None:
    layers = pd.DataFrame({"layer": ["conv1", "fc"], "macs": [900, 100], "parameters": [30, 40]})
    with mpl.rc_context(STYLE):
        upper, lower = draw_network_layers(layers, "resnet18").axes
    assert [bar.get_height() for bar in upper.patches] == [900, 100]
    assert [bar.get_height() for bar in lower.patches] == [30, 40]
    assert upper.get_title(loc="left") == "resnet18: 1,000 multiply-adds an image in 2 layers"


def test_both_drawings_of_the_graph_have_every_value_and_edge_forward_and_back() -> None:
    names = ("X", "W", "Z", "L")
    nodes = [
        {
            "name": n,
            "symbol": n,
            "operation": "o" * (n in "ZL"),
            "shape": f"({n})",
            "number": "",
            "example": f"value {n}",
            "example_gradient": f"gradient {n}",
        }
        for n in names
    ]
    ends = {"g1": ("X", "Z"), "g2": ("W", "Z"), "g3": ("Z", "L")}
    edges = [{"source": source, "target": target, "gradient": g} for g, (source, target) in ends.items()]
    for draw in (draw_graph, draw_tall_graph):
        (axes,) = draw({"nodes": nodes, "edges": edges}).axes
        texts = [text.get_text() for text in axes.texts]
        places = {text.get_text().strip("$"): text.get_position() for text in axes.texts if text.get_bbox_patch()}
        assert set(places) == set(names)
        assert {f"${gradient}$" for gradient in ends} <= set(texts)
        drawn = [(arrow._posA_posB, arrow.get_edgecolor()) for arrow in axes.patches]
        for source, target in ends.values():
            assert ([places[source], places[target]], to_rgba(FORWARD)) in drawn
            assert ([places[target], places[source]], to_rgba(BACKWARD)) in drawn
        assert len(drawn) == 2 * len(ends)
        along = 1 if draw is draw_tall_graph else 0
        row = [abs(places[name][along]) for name in ("X", "Z", "L")]
        assert row == sorted(row)
        assert len(set(row)) == 3
        assert len({places[name][1 - along] for name in ("X", "Z", "L")}) == 1
        (axes,) = draw({"nodes": nodes, "edges": edges}, numbers=True).axes
        numbers = {text.get_text() for text in axes.findobj(Text)}
        assert {f"{kind} {name}" for kind in ("value", "gradient") for name in names} <= numbers


def test_reliability_and_trade_offs_hold_the_tables_points() -> None:
    reliability = pd.DataFrame(
        {
            "split": "val",
            "temperature": ["before", "before", "after"],
            "confidence": [0.6, 0.9, 0.8],
            "accuracy": [0.5, 0.95, 0.7],
            "images": [10, 12, 22],
        }
    )
    test = reliability.assign(split="test", confidence=1.0, accuracy=1.0)
    with mpl.rc_context(STYLE):
        axes, beside = draw_reliability(pd.concat([reliability, test]), 1.3).axes
    assert axes.get_xlim() == beside.get_xlim() == axes.get_ylim() == beside.get_ylim()
    assert axes.get_xlim()[1] > 1  # a point at 1 is whole
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines[1:]}
    assert drawn["before the temperature"] == [[0.6, 0.5], [0.9, 0.95]]
    assert axes.get_title(loc="left") == "val: 22 images, 1 bin"
    with mpl.rc_context(STYLE):
        unscaled = draw_reliability(reliability, 1.0)
    (axes,) = unscaled.axes
    assert len(axes.lines) == 2  # the diagonal, and one line for both
    assert not unscaled.legends
    roc = pd.DataFrame(
        {"split": "val", "class": "8", "false_positive_rate": [0, 0.2, 1], "true_positive_rate": [0, 0.9, 1]}
    )
    nothing = pd.DataFrame(columns=["split", "class", "recall", "precision"])
    left, right = draw_trade_offs(roc, nothing, {"val": 24}).axes
    assert left.lines[1].get_xydata().tolist() == [[0, 0], [0.2, 0.9], [1, 1]]
    assert left.lines[1].get_label() == "val, 24 images (class 8)"
    assert [text.get_text() for text in right.texts] == ["a single class: no curve"]
