"""Evaluation: against worked numbers, scikit-learn and torch; other data is refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from sklearn.metrics import roc_auc_score

from plumbline.model.model_file import read_model, write_model
from plumbline.results.measures_file import Measures, read_measures
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import BACKBONE, CURVATURE, HISTORY
from stages.evaluate import __main__ as evaluate
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set, write_image
from tests.support.models import CURVATURES, RECIPE, with_score, write_random_model

CLASSES = ["ant", "bee"]


@pytest.fixture
def ready(workspace: Workspace) -> Workspace:
    workspace.set(data__root="images", image__resize=40, image__crop=33)
    write_data_set(Path("images"), images=5)
    prepare.main()
    write_random_model(CLASSES)
    write_random_model(["ant", "bee", "cat"], path=BACKBONE)
    write_json(CURVATURE, dict.fromkeys(CURVATURES, 100.0))
    history = {"epoch": [0, 1, 2], "val_loss": [0.6, 0.3, 0.5], "val_accuracy": [0.5, 0.9, 0.6]}
    write_csv(HISTORY, pd.DataFrame(history))
    return workspace


def evaluated() -> Measures:
    evaluate.main()
    return read_measures()


@pytest.mark.medium
def test_the_learning_rate_is_held_to_the_limit_of_the_curvature(
    ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated()["train", "lr_over_curvature_limit"].value == pytest.approx(0.5)  # of 2 (1 + 0.9) / 100
    assert "warning" not in capsys.readouterr().err
    write_json(CURVATURE, dict.fromkeys(CURVATURES, 400.0))
    assert evaluated()["train", "lr_over_curvature_limit"].value == pytest.approx(2)
    assert "warning: finetune.lr is 0.019, 2 to 2 times the largest step size" in capsys.readouterr().err


@pytest.mark.medium
def test_predictions_measures_and_the_network_agree(ready: Workspace) -> None:
    measures = evaluated()
    predictions = pd.read_csv("plots/predictions.csv")
    assert list(predictions)[:6] == ["split", "path", "actual", "predicted", "probability", "correct"]
    for split in ("train", "val"):
        own = predictions[predictions["split"] == split]
        assert measures[split, "accuracy"].images == len(own) == 10
        assert measures[split, "accuracy"].value == (own["actual"] == own["predicted"]).mean() == own["correct"].mean()
        # The loss from the CSV: -log of the probability of the actual class, of two.
        p = np.where(own["correct"], own["probability"], 1 - own["probability"])
        assert own["loss"].to_numpy() == pytest.approx(-np.log(p))
        if split == "train":  # val's are cross-fitted
            assert measures[split, "calibrated_loss"].value == pytest.approx(-np.log(p).mean(), rel=1e-9)
            assert measures[split, "calibrated_brier"].value == pytest.approx(((1 - p) ** 2).mean())
    assert {split for split, _ in measures} == {"train", "val"}
    manifest = pd.read_csv("data/prepared/manifest.csv")
    assert predictions["path"].to_list() == manifest["path"].to_list()
    assert predictions["actual"].to_list() == manifest["class"].to_list()


@pytest.mark.medium
def test_vals_area_under_the_roc_curve_is_that_of_its_predictions_whatever_the_folds_temperatures(
    ready: Workspace,
) -> None:
    write_data_set(Path("images"), images=20)
    prepare.main()
    measures = evaluated()
    predictions = pd.read_csv("plots/predictions.csv")
    val = predictions[predictions["split"] == "val"]
    of_bee = np.where(val["predicted"] == "bee", val["probability"], 1 - val["probability"])
    assert measures["val", "auroc"].value == pytest.approx(roc_auc_score(val["actual"] == "bee", of_bee), abs=1e-12)


@pytest.mark.medium
def test_unknown_images_are_measured_and_the_probabilities_stay_as_they_are(
    ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    before = evaluated()
    assert "has no score of unknown images" in capsys.readouterr().err
    predictions = Path("plots/predictions.csv").read_text().splitlines()
    model = read_model(evaluate.FINETUNED)
    write_model(evaluate.FINETUNED, replace(with_score(model), temperature=model.temperature))
    for i in range(3):
        write_image(Path("others", f"{i}.png"), seed=i)
    ready.set(evaluate__unknown__images="others")
    measures = evaluated()
    assert {key: measures[key] for key in before} == before
    assert {(split, measures[split, name].images) for split, name in measures.keys() - before.keys()} == {
        ("val", 3),
        ("val", 10),
        ("val", 100),
    }
    assert "called unknown: " in capsys.readouterr().out
    ready.set(evaluate__unknown__images=None)
    without = evaluated()
    assert measures.keys() - without.keys() == {("val", "auroc_unknown"), ("val", "rejected_unknown")} & measures.keys()
    assert all(measures[key] == value for key, value in without.items())
    rows = Path("plots/predictions.csv").read_text().splitlines()
    assert [row.rpartition(",")[0] for row in rows] == predictions
    last = {row.partition(",")[0]: row.rpartition(",")[2] for row in rows}
    assert (last["split"], last["train"]) == ("p_known", "") and 0 < float(last["val"]) <= 1
    ready.set(evaluate__unknown__images="absent")
    with pytest.raises(UserError, match="evaluate.unknown.images: there is no folder absent"):
        evaluate.main()


@pytest.mark.medium
def test_a_split_with_no_image_of_a_class_gives_finite_numbers(ready: Workspace) -> None:
    for path in Path("images/val/ant").iterdir():
        path.unlink()
    Path("images/val/ant").rmdir()
    prepare.main()
    measures = evaluated()
    assert ("val", "threshold") not in measures
    assert ("val", "auroc") not in measures
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


def test_a_model_that_gives_no_numbers_is_refused_by_the_first_image_and_nothing_is_written(ready: Workspace) -> None:
    model = read_model(evaluate.FINETUNED)
    tensors = {name: torch.full_like(own, 3e38) if "fc" in name else own for name, own in model.tensors.items()}
    write_model(evaluate.FINETUNED, replace(model, tensors=tensors))
    with pytest.raises(UserError, match=r"no finite number for 10 images, .*train/ant/0\.png the first") as error:
        evaluate.main()
    assert "\n" not in str(error.value)
    assert not Path("plots/predictions.csv").exists()


@pytest.mark.medium
def test_the_temperature_of_the_model_changes_the_probabilities_and_no_class(ready: Workspace) -> None:
    plain = evaluated()
    before = pd.read_csv(evaluate.PREDICTIONS)
    write_random_model(CLASSES, temperature=3.0)
    hot = evaluated()
    after = pd.read_csv(evaluate.PREDICTIONS)
    assert hot["val", "temperature"].value == 3.0
    loss, calibrated = ("train", "loss"), ("train", "calibrated_loss")
    assert hot[loss] == plain[loss] == plain[calibrated] != hot[calibrated]
    assert hot["val", "calibrated_loss"] == plain["val", "calibrated_loss"]  # cross-fitted, whatever the model's
    assert after["predicted"].to_list() == before["predicted"].to_list()
    odds = np.log(before["probability"] / (1 - before["probability"]))
    assert np.log(after["probability"] / (1 - after["probability"])).to_numpy() == pytest.approx(odds / 3.0, rel=1e-6)


@pytest.mark.medium
def test_the_linear_probe_beats_the_commonest_class_where_features_tell(ready: Workspace) -> None:
    for i, path in enumerate(sorted(Path("images").rglob("*/bee/*.png"))):
        Image.new("RGB", (40, 40), (200 + i, 40, 90)).save(path)  # flat, where an ant is noise
    prepare.main()
    measures = evaluated()
    assert measures["val", "majority_accuracy"].value == 0.5
    assert measures["val", "probe_accuracy"].value == 1.0
    assert measures["val", "probe_accuracy"].low < 1.0


@pytest.mark.medium
def test_without_a_test_split_it_says_what_the_choice_of_the_epoch_may_have_gained(
    ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    assert evaluated()["val", "accuracy_gain_by_choice"].value == 0
    write_random_model(CLASSES, keep="best")
    assert evaluated()["val", "accuracy_gain_by_choice"].value == pytest.approx(0.9 - (0.5 + 0.9 + 0.6) / 3)
    assert "choosing epoch 1 of 3 may have gained 23.3 points" in capsys.readouterr().out


@pytest.mark.medium
def test_a_copy_in_a_frame_which_prepare_misses_and_the_network_does_not_see_is_found(
    ready: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    with Image.open("images/train/bee/2.png") as image:
        square = image.resize((40, 40))
    square.save("images/train/bee/2.png")
    inner = square.crop((3, 3, 37, 37))  # of which the network sees 33 pixels
    ImageOps.expand(inner, 3, "white").save("images/val/bee/3.png")
    prepare.main()
    assert pd.read_csv("data/audit/images.csv")["notes"].isna().all()
    evaluate.main()
    table = pd.read_csv(evaluate.SIMILAR)
    assert (table["path"][0], table["nearest"][0]) == ("val/bee/3.png", "train/bee/2.png")
    assert table["similarity"][0] == pytest.approx(1)
    assert f"val: {len(table)} of 10 images are nearer to a training image" in capsys.readouterr().out


@pytest.mark.medium
def test_the_metrics_are_the_few_measures_that_dvc_shows(ready: Workspace) -> None:
    measures = evaluated()
    accuracy = measures["val", "accuracy"]
    assert json.loads(evaluate.METRICS.read_text()) == {
        "val_accuracy": accuracy.value,
        "val_low": accuracy.low,
        "val_high": accuracy.high,
        "val_loss": measures["val", "loss"].value,
    }
    assert list(
        evaluate.headline(measures | {("test", name): measures["val", name] for name in ("accuracy", "loss")}, "test")
    ) == ["test_accuracy", "test_low", "test_high", "test_loss", "val_accuracy"]


def test_a_positive_class_that_is_none_is_refused_in_one_line(ready: Workspace) -> None:
    ready.set(evaluate__positive="wasp")
    with pytest.raises(UserError, match="evaluate.positive is 'wasp', which is no class: choose one of ant, bee"):
        evaluate.main()
    assert not evaluate.METRICS.exists()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({}, "finetune: Input should be"),
        ({"finetune": None}, "finetune: Input should be"),
        ({"finetune": "sgd"}, "finetune: Input should be"),
        ({"finetune": {"lr": 0.1}}, "finetune.head: Field required"),
        ({"finetune": RECIPE | {"keep": "last", "patience": None, "lr": "fast"}}, "finetune.lr: "),
        ({"finetune": RECIPE | {"keep": "last", "patience": None, "augment": []}}, "finetune.augment: "),
        ({"finetune": RECIPE | {"keep": "last"}}, "finetune.patience: Field required"),
    ],
)
def test_a_model_that_does_not_say_how_it_was_trained_is_one_line(
    ready: Workspace, parameters: dict[str, object], message: str
) -> None:
    write_model(evaluate.FINETUNED, replace(read_model(evaluate.FINETUNED), parameters=parameters))
    with pytest.raises(UserError) as error:
        evaluate.main()
    assert str(error.value).startswith(f"models/finetuned.safetensors does not say how it was trained ({message}")
    assert "\n" not in str(error.value)


@pytest.mark.medium
@pytest.mark.parametrize(
    ("values", "message"), [({}, "lacks largest_curvature"), ({"largest_curvature": "<b>"}, "'<b>'")]
)
def test_a_curvature_that_is_no_number_is_one_line(ready: Workspace, values: dict[str, str], message: str) -> None:
    write_json(CURVATURE, values)
    with pytest.raises(UserError, match=f"metrics/curvature.json .*{message}"):
        evaluate.main()
