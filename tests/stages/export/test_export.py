"""The stage: what it writes, and that it writes nothing where a file is not torch's."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from plumbline.model.model_file import write_model
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_csv
from stages.export import __main__ as export
from tests.conftest import Workspace
from tests.stages.export.conftest import noise
from tests.support.models import small_model, with_score


@pytest.fixture
def trained(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace with a small model and 12 images of three classes in train and val."""
    write_model(export.FINETUNED, small_model())
    Path("data/prepared").mkdir(parents=True)
    Path("data/prepared/classes.json").write_text('["ant", "bee", "cat"]')
    rows = []
    for split in ("train", "val"):
        np.save(f"data/prepared/{split}.npy", noise(12, seed=len(split)))
        rows += [[split, f"{split}/{i}.png", i // 4, "00"] for i in range(12)]
    write_csv(Path("data/prepared/manifest.csv"), pd.DataFrame(rows, columns=["split", "path", "label", "sha256"]))
    clusters = pd.DataFrame(rows, columns=["split", "path", "cluster", "sha256"]).assign(cluster=range(24))
    write_csv(Path("data/audit/clusters.csv"), clusters)
    monkeypatch.setattr("stages.export.speed.SECONDS", 0.001)
    return workspace


def metrics() -> dict[str, float]:
    return json.loads(Path("metrics/export.json").read_text())


@pytest.mark.medium
def test_it_writes_every_file_with_its_distance_from_torch_and_its_speed(trained: Workspace) -> None:
    export.main()
    found, table = metrics(), pd.read_csv(export.EXPORTED_FILES).set_index("file")
    assert table["images"].to_list() == [12, 12, 12]
    for name in ("onnx", "pt2"):
        assert found[f"{name}_log10_largest_difference"] < -5
        assert table["largest_difference"][name] == pytest.approx(10 ** found[f"{name}_log10_largest_difference"], 1e-3)
        assert table["same_class"][name] == 1
    assert found["int8_largest_difference"] == table["largest_difference"]["int8"]
    assert found["int8_accuracy_change_low"] <= found["int8_accuracy_change"] <= found["int8_accuracy_change_high"]
    sizes = {"onnx": export.ONNX, "pt2": export.TORCH, "int8": export.INT8 / "finetuned.onnx"}
    assert table["bytes"].to_dict() == {name: path.stat().st_size for name, path in sizes.items()}
    timing = json.loads(Path("metrics/timing/export.json").read_text())
    for name in ("torch_float32", "torch_bfloat16", "onnx_float32", "onnx_int8"):
        assert timing[f"{name}_latency_ms"] > 0
        assert timing[f"{name}_images_per_second"] > 0


@pytest.mark.medium
def test_without_int8_its_folder_is_empty_and_nothing_is_said_of_it(trained: Workspace) -> None:
    trained.set(export__int8="none")
    export.main()
    assert list(export.INT8.iterdir()) == []
    assert not [key for key in metrics() if "int8" in key]
    assert pd.read_csv(export.EXPORTED_FILES)["file"].to_list() == ["onnx", "pt2"]


def changed_by(change: Callable[..., tuple[np.ndarray, ...]]) -> Callable:
    """Return what gives an ONNX file's outputs, changed."""
    plain = export.onnx_answer
    return lambda contents: lambda images: change(*plain(contents)(images))


@pytest.mark.slow
def test_a_file_that_calls_other_images_unknown_ends_the_stage_and_nothing_is_written(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(export.FINETUNED, with_score(small_model(), 12))
    changes = {
        r"onnx: the images that are unknown are torch's: 12 of 12 are not": lambda a, unknown, *b: (a, ~unknown, *b),
        r"onnx: distances as torch's: error 1.0e-01": lambda a, b, c, distance: (a, b, c, 1.1 * distance),
    }
    for message, change in changes.items():
        with monkeypatch.context() as patch, pytest.raises(UserError, match=message):
            patch.setattr(export, "onnx_answer", changed_by(change))
            export.main()
        assert [path.name for path in Path("models").iterdir()] == ["finetuned.safetensors"]
    export.main()
    outputs = onnxruntime.InferenceSession(export.INT8 / "finetuned.onnx").run(None, {"images": noise(12, seed=3)})
    assert outputs[2].min() == pytest.approx(2 / 13)  # the 12 val images, beside themselves


@pytest.mark.slow
def test_a_file_that_is_not_torchs_ends_the_stage_and_nothing_is_written(
    trained: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "onnx_answer", changed_by(lambda probabilities: (probabilities + 2e-4,)))
    with pytest.raises(UserError, match=r"check failed: onnx: .* error 2.0e-04, at most 1e-04"):
        export.main()
    assert [path.name for path in Path("models").iterdir()] == ["finetuned.safetensors"]
    assert not Path("metrics/export.json").exists()
    assert not export.EXPORTED_FILES.exists()
    trained.set(export__tolerance=0.001)
    export.main()


def test_a_model_of_other_classes_is_refused(trained: Workspace) -> None:
    Path("data/prepared/classes.json").write_text('["ant", "cat", "dog"]')
    with pytest.raises(
        UserError, match="finetuned.safetensors knows the classes ant, bee, cat, data/prepared has ant, cat, dog"
    ):
        export.main()
