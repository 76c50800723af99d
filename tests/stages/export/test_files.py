"""The exported files give torch's probabilities for any number of images, describe themselves, and hold no path."""

import functools
import hashlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torchvision
from torch import nn
from torchvision.models import GoogLeNet, MobileNetV3, SwinTransformer, VisionTransformer
from torchvision.models._api import BUILTIN_MODELS
from torchvision.models.mobilenetv3 import InvertedResidualConfig
from torchvision.transforms import v2

from plumbline.classifier import Classifier
from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.run.errors import UserError
from stages.export import __main__ as export
from stages.export import onnx_file as onnx_module
from stages.export.from_pixels import exported_program
from stages.export.onnx_file import onnx_file
from stages.export.torch_file import METADATA
from tests.conftest import PROJECT
from tests.stages.export.conftest import noise
from tests.support.models import SMALL, small_model, with_score


def torchvisions(model, images: np.ndarray) -> np.ndarray:
    """Return the probabilities by torchvision's own transforms and the plain network."""
    prepare = v2.Compose(
        [
            v2.ToImage(),
            v2.CenterCrop(model.transform.crop),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(model.transform.mean, model.transform.std),
        ]
    )
    with torch.no_grad():
        logits = model.network().eval()(torch.stack([prepare(image) for image in images]))
    return (logits / model.temperature).softmax(dim=1).numpy()


@pytest.mark.medium
@pytest.mark.parametrize("count", [1, 2, 7])
def test_both_files_give_what_torchvision_and_the_network_give(exported: dict[str, bytes], count: int) -> None:
    images = noise(count)
    expected = torchvisions(small_model(), images)
    session = onnxruntime.InferenceSession(exported["onnx"])
    program = torch.export.load(io.BytesIO(exported["pt2"])).module()
    np.testing.assert_allclose(session.run(None, {"images": images})[0], expected, atol=1e-6)
    np.testing.assert_allclose(program(torch.from_numpy(images)).detach().numpy(), expected, atol=1e-6)


@pytest.mark.medium
@pytest.mark.parametrize("count", [1, 7])
def test_both_files_say_what_torch_says_of_unknown_images(
    scored: Model, exported_with_score: dict[str, bytes], count: int
) -> None:
    images = np.concatenate([noise(count), np.full((1, 40, 40, 3), 255, np.uint8)])
    wanted = export.torch_answer(scored, torch.float32, 0.8)(images)
    assert wanted[1].tolist()[-1] is True  # white, where all others are noise
    found = {"onnx": export.onnx_answer, "pt2": export.torch_file_answer}
    for name, answer in found.items():
        own = answer(exported_with_score[name])(images)
        for ours, torchs, tolerance in zip(own, wanted, (1e-6, 0, 0, 1e-2), strict=True):
            np.testing.assert_allclose(ours, torchs, atol=tolerance)
    (prediction,) = Classifier(scored, keep=0.8).classify(images[-1:])
    assert (prediction.known, prediction.p_known) == (False, pytest.approx(float(wanted[2][-1])))
    session = onnxruntime.InferenceSession(exported_with_score["onnx"])
    assert [(own.name, own.type, own.shape) for own in session.get_outputs()] == [
        ("probabilities", "tensor(float)", ["batch", 3]),
        ("unknown", "tensor(bool)", ["batch"]),
        ("p_known", "tensor(float)", ["batch"]),
        ("distance", "tensor(float)", ["batch"]),
    ]
    about = session.get_modelmeta().custom_metadata_map["output"]
    assert "unknown: bool (batch,), where 0.8 of the images like those of training are to be known" in about
    onnx.checker.check_model(onnx.load_from_string(exported_with_score["onnx"]), full_check=True)


@pytest.mark.slow
def test_of_the_tiny_pipeline_onnx_decides_on_every_val_image_as_torch(tiny_project: Path) -> None:
    val = np.load(tiny_project / "data/prepared/val.npy")
    session = onnxruntime.InferenceSession(tiny_project / "models/finetuned.onnx")
    classifier = Classifier.load(tiny_project / "models/finetuned.safetensors")
    for images in (val, 255 - val):
        _, unknown, _, distances = session.run(None, {"images": images})
        assert [not own for own in unknown] == [own.known for own in classifier.classify(images)]
        assert len(set(distances)) == len(images)
        if images is val:  # the farthest of 24, beside them, has (1 + 1) / 25
            assert not unknown.any()


@pytest.mark.slow
@pytest.mark.parametrize("file", ["models/finetuned.onnx", "models/int8/finetuned.onnx"])
def test_of_the_tiny_pipeline_onnx_gives_the_sets_of_predict_by_the_code_of_the_docs(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    monkeypatch.chdir(tiny_project)
    page = (PROJECT / "docs/using-the-model.md").read_text(encoding="utf-8")
    (code,) = (part for part in re.findall("```python\n(.*?)```", page, re.DOTALL) if "Fraction" in part)
    found: dict = {}
    exec(code.replace("models/finetuned.onnx", file), found)
    if "int8" not in file:
        predictions = Classifier.load("models/finetuned.safetensors", coverage=0.9).classify(found["images"])
        assert found["sets"] == [own.prediction_set for own in predictions]
        return
    val = np.load("data/prepared/val.npy")
    probabilities = found["session"].run(None, {"images": val})[0]
    own = probabilities[np.arange(len(val)), found["labels"]] / probabilities.max(axis=1)
    np.testing.assert_allclose(found["relative"], own, rtol=1e-6)  # its own val images', not torch's


# Of each kind: attention, shifted windows, squeeze-and-excitation, and concatenation with an input that is transformed.
# All blocks of a kind are exported alike: of the first three a few, and narrow ones, stand for all.
BLOCKS = {
    "vit_b_32": (VisionTransformer, {"image_size": 224, "patch_size": 32, "num_layers": 2, "num_heads": 2, "hidden_dim": 32, "mlp_dim": 64}),
    "swin_t": (SwinTransformer, {"patch_size": [4, 4], "embed_dim": 24, "depths": [2, 2], "num_heads": [2, 4], "window_size": [7, 7]}),
    "mobilenet_v3_small": (
        MobileNetV3,
        {
            "inverted_residual_setting": [
                InvertedResidualConfig(16, 3, 16, 16, True, "RE", 2, 1, 1),
                InvertedResidualConfig(16, 5, 96, 40, True, "HS", 2, 1, 1),
                InvertedResidualConfig(40, 5, 240, 40, True, "HS", 1, 1, 1),
            ],
            "last_channel": 1024,
        },
    ),
    "googlenet": (GoogLeNet, {}),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("architecture", BLOCKS)
def test_every_kind_of_network_is_exported_for_any_number_of_images(
    architecture: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    kind, blocks = BLOCKS[architecture]

    def build(weights: None, **options: object) -> nn.Module:
        return kind(**blocks, **options)

    builder = torchvision.models.get_model_builder(architecture)
    monkeypatch.setitem(BUILTIN_MODELS, architecture, functools.update_wrapper(build, builder))
    model = with_score(small_model(architecture=architecture, transform=Transform(232, 224, [0.5] * 3, [0.5] * 3)), 4)
    session = onnxruntime.InferenceSession(onnx_file(exported_program(model, 0.8), {}))
    torch_ = export.torch_answer(model, torch.float32, 0.8)
    for count in (1, 3):
        images = noise(count, size=232)
        probabilities, _, _, distances = session.run(None, {"images": images})
        np.testing.assert_allclose(probabilities, torchvisions(model, images), atol=1e-5)
        np.testing.assert_allclose(distances, torch_(images)[3], rtol=1e-4)
    assert "Shape mismatch" not in capfd.readouterr().err


@pytest.mark.medium
def test_the_files_say_what_is_in_them(exported: dict[str, bytes]) -> None:
    session = onnxruntime.InferenceSession(exported["onnx"])
    (images,), (probabilities,) = session.get_inputs(), session.get_outputs()
    assert (images.name, images.type, images.shape) == ("images", "tensor(uint8)", ["batch", 40, 40, 3])
    assert (probabilities.name, probabilities.type) == ("probabilities", "tensor(float)")
    assert probabilities.shape == ["batch", 3]
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["classes"]) == ["ant", "bee", "cat"]
    assert json.loads(about["transform"]) == {
        "resize": 40,
        "crop": 32,
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    assert (about["architecture"], about["temperature"], about["sha256"]) == (SMALL, "1.5", "ab" * 32)
    extra = {METADATA: ""}
    torch.export.load(io.BytesIO(exported["pt2"]), extra_files=extra)
    assert json.loads(extra[METADATA]) == about
    onnx.checker.check_model(onnx.load_from_string(exported["onnx"]), full_check=True)


def test_the_files_hold_no_path_of_the_machine_that_made_them(exported: dict[str, bytes]) -> None:
    for contents in exported.values():
        for trace in (str(PROJECT), "site-packages", str(Path(sys.prefix)), ".py\\"):
            assert trace.encode() not in contents


@pytest.mark.slow
def test_the_same_model_gives_the_same_bytes_in_every_process(tmp_path: Path, exported: dict[str, bytes]) -> None:
    code = """
import functools
import hashlib
from stages.export.from_pixels import description, exported_program
from stages.export.onnx_file import onnx_file
from stages.export.torch_file import torch_file
from tests.support.models import small_model, with_score
program, about = exported_program(small_model(), 0.95), description(small_model(), "ab" * 32, 0.95)
for contents in (onnx_file(program, about), torch_file(program, about)):
    print(hashlib.sha256(contents).hexdigest())
"""
    printed = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True)
    assert printed.stdout.split() == [hashlib.sha256(contents).hexdigest() for contents in exported.values()]


def test_a_network_that_is_too_large_for_one_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_module, "LARGEST", 1000)
    with pytest.raises(UserError, match="GiB of weights, and an ONNX file holds 2"):
        onnx_file(exported_program(small_model(), 0.95), {})
