"""Evaluation: against worked numbers, scikit-learn and torch; other data is refused."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from plumbline.errors import UserError
from plumbline.model_file import Model, Transform, write_model
from plumbline.networks import build_network
from stages import evaluate
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set

CLASSES = ["ant", "bee"]


def write_random_model(classes: list[str], resize: int = 40) -> Model:
    torch.manual_seed(3)
    tensors = build_network("resnet18", len(classes)).state_dict()
    transform = Transform(resize, 33, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    model = Model("resnet18", classes, transform, {}, "none", "", tensors)
    write_model(evaluate.MODEL, model)
    return model


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    workspace.set(data__root="images", image__resize=40, image__crop=33)
    write_data_set(Path("images"), images=5)
    prepare.main()
    write_random_model(CLASSES)
    return workspace


def rows(correct: int, images: int) -> pd.DataFrame:
    return pd.DataFrame({"correct": [1] * correct + [0] * (images - correct)})


@pytest.mark.parametrize(
    ("correct", "images", "low", "high"),
    [
        # Newcombe 1998, Statistics in Medicine 17:857, table I, method 3 (Wilson without continuity correction).
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_the_interval_is_wilsons(correct: int, images: int, low: float, high: float) -> None:
    metrics = evaluate.split_metrics(rows(correct, images), 0.5, 0.95)
    assert metrics["accuracy"] == correct / images
    assert metrics["accuracy_low"] == pytest.approx(low, abs=5e-5)
    assert metrics["accuracy_high"] == pytest.approx(high, abs=5e-5)


def test_precision_recall_and_f1_are_those_worked_by_hand() -> None:
    # a: 3 actual, 2 found, 3 predicted; b: 2 actual, 1 found, 2 predicted; c: never met, never predicted.
    table = evaluate.per_class_table(
        "val", pd.DataFrame({"actual": list("aaabb"), "predicted": list("aabab")}), ["a", "b", "c"]
    )
    assert table["images"].to_list() == [3, 2, 0]
    np.testing.assert_allclose(table["precision"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(table["recall"], [2 / 3, 1 / 2, 0])
    np.testing.assert_allclose(table["f1"], [2 / 3, 1 / 2, 0])


def test_predictions_metrics_and_the_network_agree(ready: Workspace) -> None:
    evaluate.main()
    metrics = json.loads(Path("metrics/evaluate.json").read_text())
    predictions = pd.read_csv("plots/predictions.csv")
    assert list(predictions) == ["split", "path", "actual", "predicted", "probability", "correct"]
    for split in ("train", "val"):
        own = predictions[predictions["split"] == split]
        assert metrics[f"{split}_images"] == len(own) == 10
        assert metrics[f"{split}_accuracy"] == (own["actual"] == own["predicted"]).mean() == own["correct"].mean()
        # The loss from the CSV: -log of the probability of the actual class, of two.
        p = np.where(own["correct"], own["probability"], 1 - own["probability"])
        assert metrics[f"{split}_loss"] == pytest.approx(-np.log(p).mean(), rel=1e-9)
    assert not any(key.startswith("test") for key in metrics)
    manifest = pd.read_csv("data/prepared/manifest.csv")
    assert predictions["path"].to_list() == manifest["path"].to_list()
    assert predictions["actual"].to_list() == manifest["class"].to_list()


def test_a_split_with_no_image_of_a_class_gives_finite_numbers(ready: Workspace) -> None:
    for path in Path("images/val/ant").iterdir():
        path.unlink()
    Path("images/val/ant").rmdir()
    prepare.main()
    evaluate.main()
    table = pd.read_csv("plots/per_class.csv")
    assert table[["precision", "recall", "f1"]].notna().all().all()
    assert table["images"].to_list() == [5, 5, 0, 5]


def test_a_model_of_other_classes_or_another_size_is_refused_in_one_line(ready: Workspace) -> None:
    for classes, resize, message in (
        (["bee", "ant"], 40, "knows the classes bee, ant, data/prepared has ant, bee: run `dvc repro`"),
        (["ant", "bee", "wasp"], 40, "knows the classes ant, bee, wasp"),
        (CLASSES, 256, "was trained on images of 256 pixels, data/prepared has 40"),
    ):
        write_random_model(classes, resize)
        with pytest.raises(UserError, match=message) as error:
            evaluate.main()
        assert "\n" not in str(error.value)
    assert not Path("metrics/evaluate.json").exists()
