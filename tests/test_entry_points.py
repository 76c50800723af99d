"""Whatever runs a network refuses alike: an image size that it does not take, and weights that are not finite."""

import ast
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from plumbline.model.description import Transform
from plumbline.model.model_file import fields_set, write_model
from plumbline.results.predictions_file import PREDICTIONS
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import CURVATURE
from stages.curvature import __main__ as curvature
from stages.evaluate import __main__ as evaluate
from stages.export import __main__ as export
from stages.finetune import __main__ as finetune
from stages.gallery import __main__ as gallery
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import PROJECT, Workspace, write_data_set
from tests.stages.finetune.conftest import pass_checks
from tests.support.models import CURVATURES, FINETUNED, RECIPE, small_model
from tools.find_lr import __main__ as find_lr
from tools.predict import __main__ as predict

ARCHITECTURE = "squeezenet1_1"  # small, and takes no images of 7 pixels
TRANSFORM = Transform(8, 7, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
MODELS = (weights.BACKBONE, FINETUNED)

ENTRY_POINTS = {
    "curvature": curvature.main,
    "finetune": finetune.main,
    "find_lr": find_lr.main,
    "evaluate": evaluate.main,
    "gallery": gallery.main,
    "export": export.main,
    "predict": predict.main,
}


@pytest.fixture
def trained(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with all that the entry points read, and 8 pixels that are cut to 7."""
    workspace.set(data__root="images", weights__architecture=ARCHITECTURE, weights__source="none")
    workspace.set(**{f"image__{key}": value for key, value in fields_set(TRANSFORM).items()})
    write_data_set(Path("images"), images=5)
    prepare.main()
    pass_checks()
    for path in MODELS:
        recipe = {"finetune": RECIPE | {"keep": "last", "patience": None}}
        write_model(
            path,
            small_model(architecture=ARCHITECTURE, classes=["ant", "bee"], transform=TRANSFORM, parameters=recipe),
        )
    write_json(CURVATURE, CURVATURES)
    row = {"split": "val", "path": "val/ant/0.png", "actual": "ant", "predicted": "ant", "probability": 0.5}
    write_csv(PREDICTIONS, pd.DataFrame([row | {"correct": 1, "loss": 0.5, "squared_error": 0.2, "sha256": "ab"}]))
    monkeypatch.setattr(sys, "argv", ["predict", "images/val", "--model", str(FINETUNED)])
    return workspace


def refusal(main: Callable[[], None]) -> str:
    """Return the line with which an entry point ends."""
    with pytest.raises(UserError) as error:
        main()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("main", [*ENTRY_POINTS.values(), weights.main], ids=[*ENTRY_POINTS, "weights"])
def test_an_image_size_that_the_network_does_not_take_is_refused_alike(
    trained: Workspace, main: Callable[[], None]
) -> None:
    assert refusal(main).startswith("image.crop is 7, which this weights.architecture does not take (")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("main", ENTRY_POINTS.values(), ids=ENTRY_POINTS)
def test_one_value_that_is_not_finite_is_refused_with_its_file_and_tensor(
    trained: Workspace, main: Callable[[], None], value: float
) -> None:
    for path in MODELS:
        model = small_model(architecture=ARCHITECTURE, classes=["ant", "bee"], transform=TRANSFORM)
        tensors = dict(model.tensors)
        tensors["features.0.bias"] = tensors["features.0.bias"].index_fill(0, torch.tensor([3]), value)
        write_model(path, replace(model, tensors=tensors))
    line = refusal(main)
    assert line.startswith("models/") and "1 of the 64 values of features.0.bias are NaN or infinite" in line


def test_model_files_are_read_in_one_place_alone() -> None:
    """So that what it refuses is refused everywhere; foreign weights are read by the weights stage."""
    readers = set()
    for folder in ("plumbline", "stages", "tools"):
        for path in (PROJECT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("safetensors"):
                    readers.add(path.relative_to(PROJECT).as_posix())
    assert readers == {
        "plumbline/model/description.py",
        "plumbline/model/model_file.py",
        "stages/weights/weight_file.py",
    }
