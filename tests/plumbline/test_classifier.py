"""The model for one's own programs: every kind of image gives what its file gives, and damage is refused."""

import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from plumbline import Classifier
from plumbline.images.unreadable import Unreadable
from plumbline.model.description import Transform
from plumbline.model.model_file import write_model
from plumbline.run.errors import UserError
from tests.conftest import PROJECT, write_image
from tests.support.image_files import sixteen_bit_png
from tests.support.models import small_model, with_score


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(small_model())


def test_a_path_an_image_and_an_array_are_one_image(classifier: Classifier, tmp_path: Path) -> None:
    path = write_image(tmp_path / "a.png", size=(70, 50))
    image = Image.open(path)
    alone = classifier(path)
    assert classifier(str(path)) == classifier(image) == classifier(np.asarray(image)) == alone
    several = classifier([path, image, np.asarray(image)]) + classifier(np.stack([np.asarray(image)] * 2))
    assert [own.probability for own in several] == pytest.approx([alone[0].probability] * 5, abs=1e-6)
    assert classifier([]) == []


def test_the_orientation_of_an_opened_image_is_applied(classifier: Classifier, tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(write_image(tmp_path / "a.png", size=(70, 50))))
    exif = Image.Exif()
    exif[274] = 6  # to be turned by 90 degrees, clockwise
    stored = io.BytesIO()
    Image.fromarray(np.rot90(pixels, 1).copy()).save(stored, "PNG", exif=exif)
    assert classifier(Image.open(stored)) == classifier(pixels)


def test_grey_and_transparency_are_taken_as_in_files(classifier: Classifier, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for array in (
        random.integers(0, 256, (50, 60), dtype=np.uint8),
        random.integers(0, 256, (50, 60, 4), dtype=np.uint8),
        random.integers(0, 65536, (50, 60), dtype=np.uint16),
    ):
        Image.fromarray(array).save(tmp_path / "a.png")
        assert classifier(array) == classifier(tmp_path / "a.png")
    grey = random.integers(0, 256, (50, 60), dtype=np.uint8)
    assert classifier(grey[..., None]) == classifier(grey)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((5, 5, 2), np.uint8), "of shape (5, 5, 2) is no image"),
        (np.zeros((0, 5, 3), np.uint8), "of shape (0, 5, 3) is no image"),
        (np.zeros((5, 5, 3)), "an array of float64 does not say its range"),
        (np.zeros(5, np.uint8), "of shape (5,) is no image"),
    ],
)
def test_an_array_that_is_no_image_is_refused(classifier: Classifier, array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError) as error:
        classifier([array])
    assert message in str(error.value)


def test_a_file_that_gives_no_image_is_named(classifier: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "notes.jpg"
    path.write_text("x")
    with pytest.raises(Unreadable, match="notes.jpg: no known image format"):
        classifier([path])


def test_an_image_of_16_bits_is_scaled_as_those_that_the_model_was_trained_on(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (50, 60), dtype=np.uint8)
    twelve_bits = np.rint(grey / 255 * 4095).astype(np.uint16)
    Image.fromarray(twelve_bits).save(tmp_path / "a.png")
    transform = replace(small_model().transform, value_ranges={"integers": [0, 4095]})
    write_model(tmp_path / "m.safetensors", small_model(transform=transform))
    trained = Classifier.load(tmp_path / "m.safetensors")
    for image in (tmp_path / "a.png", Image.open(tmp_path / "a.png"), twelve_bits):
        np.testing.assert_array_equal(trained.pixels(image), trained.pixels(grey))


def test_colours_of_16_bits_of_which_pillow_has_lost_eight_are_refused_where_the_model_takes_all(
    classifier: Classifier, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(sixteen_bit_png(np.full((40, 32, 3), 2047, np.uint16)))
    trained = Classifier(small_model(transform=replace(classifier.transform, value_ranges={"integers": [0, 4095]})))
    assert abs(trained.pixels(tmp_path / "a.png").mean() - 127) <= 1
    with (
        Image.open(tmp_path / "a.png") as image,
        pytest.raises(Unreadable, match="a.png: of its 16 bits a channel Pillow keeps eight"),
    ):
        trained([image])
    with Image.open(tmp_path / "a.png") as image:
        assert np.abs(classifier.pixels(image).astype(int) - 7).max() <= 1  # 2047 / 257


def test_what_gives_no_image_is_named_of_each_kind(classifier: Classifier, tmp_path: Path) -> None:
    cut = write_image(tmp_path / "cut.png", size=(500, 500))
    cut.write_bytes(cut.read_bytes()[:-3000])
    with Image.open(cut) as image, pytest.raises(Unreadable, match="cut.png: image file is truncated"):
        classifier([image])
    for image, said in (
        (Image.new("RGB", (0, 10)), "<PIL.Image.Image image mode=RGB size=0x10.*>: 0 x 10 pixels"),
        ("a\0b.png", "a name with a zero byte in it"),
        (np.zeros((2, 300_000, 3), np.uint8), r"^an array of shape \(2, 300000, 3\): 300000 x 2 pixels: one side"),
    ):
        with pytest.raises(Unreadable, match=said):
            classifier([image])
    for none in (None, b"a.png"):
        with pytest.raises(TypeError, match="is no image: give a path, a PIL image or an array"):
            classifier([none])


@pytest.mark.parametrize("pixels", [np.zeros((1, 100, 100, 3), np.uint8), np.zeros((1, 40, 40, 3), np.float32)])
def test_pixels_of_another_size_or_type_are_refused(classifier: Classifier, pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"should be uint8 \(N, 40, 40, 3\)"):
        classifier.classify(pixels)


@pytest.mark.parametrize("precision", ["float16", "float64", "bf16"])
def test_another_precision_is_refused(precision: str) -> None:
    with pytest.raises(UserError, match=f"precision is '{precision}': it should be float32, bfloat16 or auto"):
        Classifier(small_model(), precision)


@pytest.mark.parametrize(
    "ranges", [{"integers": [1, 1]}, {"integers": [0]}, {"pixels": [0, 1]}, {"floats": ["a", "b"]}, 3]
)
def test_a_transform_with_impossible_ranges_is_refused(tmp_path: Path, ranges: object) -> None:
    metadata = {"resize": 40, "crop": 32, "mean": [0.5] * 3, "std": [0.5] * 3, "value_ranges": ranges}
    with pytest.raises((ValueError, TypeError)):
        Transform(**metadata)


def test_the_likeliest_classes_come_first_and_sum_to_one(classifier: Classifier, tmp_path: Path) -> None:
    (found,) = classifier(write_image(tmp_path / "a.png"))
    assert list(found.probabilities) == ["ant", "bee", "cat"]
    assert sum(found.probabilities.values()) == pytest.approx(1)
    shares = [share for _, share in found.top(3)]
    assert shares == sorted(found.probabilities.values(), reverse=True)
    assert found.top(1) == [(found.predicted, found.probability)]


def test_weights_that_give_no_finite_number_are_refused(tmp_path: Path) -> None:
    model = small_model()
    # Finite themselves, as a file's must be; with them the sums are not.
    tensors = model.tensors | {"fc.weight": torch.full_like(model.tensors["fc.weight"], 3e38)}
    with pytest.raises(UserError, match="the model gives no finite number"):
        Classifier(replace(model, tensors=tensors))(write_image(tmp_path / "a.png"))


def with_metadata(path: Path, **changes: object) -> Path:
    """Write the small model with other metadata."""
    write_model(path, small_model())
    length = int.from_bytes(path.read_bytes()[:8], "little")
    described = json.loads(json.loads(path.read_bytes()[8 : 8 + length])["__metadata__"]["plumbline"])
    save_file(small_model().tensors, path, {"plumbline": json.dumps(described | changes)})
    return path


TRANSFORM = {"resize": 40, "crop": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "resnet50"}, "of another network"),
        ({"architecture": "os.system"}, "none of torchvision's classifiers"),
        ({"architecture": 18}, "18 is no text"),
        ({"classes": ["ant", "bee"]}, "fc.bias has the shape"),
        ({"classes": ["ant", "ant", "bee"]}, "two of its classes have one name"),
        ({"classes": [str(i) for i in range(100_001)]}, "it has 100001 classes, of which at most 100000 are supported"),
        ({"classes": "ant"}, "its classes are not a list of names"),
        ({"classes": [1, 2, 3]}, "its classes are not a list of names"),
        ({"classes": ["ant", "bee", "\ud800"]}, "lacks Plumbline's metadata"),
        ({"transform": TRANSFORM | {"resize": 10**9}}, "crop and resize are 32 and 1000000000"),
        ({"transform": TRANSFORM | {"crop": 41}}, "crop and resize are 41 and 40"),
        ({"transform": TRANSFORM | {"crop": "32"}}, "crop and resize are '32' and 40"),
        ({"transform": TRANSFORM | {"std": [1, 0, 1]}}, "std is"),
        ({"transform": TRANSFORM | {"mean": [1]}}, "mean is"),
        ({"transform": TRANSFORM | {"mean": [10**400, 1, 1]}}, "int too large to convert to float"),
        ({"transform": TRANSFORM | {"mean": {"0": 1, "1": 1, "2": 1}}}, "mean is"),
        ({"transform": TRANSFORM | {"mean": ["a", 1, 1]}}, "lacks Plumbline's metadata"),
        ({"transform": TRANSFORM | {"mean": [True, 1, 1]}}, "mean is"),
        ({"transform": []}, "lacks Plumbline's metadata"),
        ({"temperature": float("nan")}, "the temperature is nan"),
        ({"temperature": "warm"}, "lacks Plumbline's metadata"),
        ({"temperature": 10**400}, "int too large to convert to float"),
        ({"temperature": [1]}, "lacks Plumbline's metadata"),
        ({"parameters": "{"}, "lacks Plumbline's metadata"),
        ({"source": None}, "None is no text"),
    ],
)
def test_a_model_file_with_other_metadata_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    path = with_metadata(tmp_path / "m.safetensors", **changes)
    with pytest.raises(UserError) as error:
        Classifier.load(path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", ["", "ant", "[" * 100_000, "1" * 10_000, '"ant"', "[]", "null", "{}", "{"])
def test_metadata_that_are_no_description_are_refused(tmp_path: Path, text: str) -> None:
    save_file(small_model().tensors, tmp_path / "m.safetensors", {"plumbline": text})
    with pytest.raises(UserError, match="lacks Plumbline's metadata") as error:
        Classifier.load(tmp_path / "m.safetensors")
    assert len(str(error.value)) < 500 and "\n" not in str(error.value)


def test_a_pickle_in_disguise_is_refused_and_never_run(tmp_path: Path) -> None:
    class Malicious:
        def __reduce__(self) -> tuple:
            return Path.touch, (tmp_path / "ran",)

    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(UserError, match="not a whole safetensors file"):
        Classifier.load(path)
    torch.save(Malicious(), path)
    with pytest.raises(UserError, match="not a whole safetensors file"):
        Classifier.load(path)
    assert not (tmp_path / "ran").exists()


def settings_of_the_process() -> dict[str, object]:
    """Return what a program may have set for the whole process."""
    cudnn = {name: getattr(torch.backends.cudnn, name) for name in ("enabled", "benchmark", "deterministic")}
    return cudnn | {
        "TF32 in convolutions": torch.backends.cudnn.allow_tf32,
        "matrix products": torch.get_float32_matmul_precision(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "filled memory": torch.utils.deterministic.fill_uninitialized_memory,
        "threads": torch.get_num_threads(),
        "type": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "environment": dict(os.environ),
        "warnings": list(warnings.filters),
    }


def test_of_the_settings_of_its_users_process_it_changes_tf32_in_convolutions_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "m.safetensors", with_score(small_model()))
    image = write_image(tmp_path / "a.png")
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)  # as in a process that begins
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    before = settings_of_the_process()
    Classifier.load(tmp_path / "m.safetensors")(image)
    assert settings_of_the_process() == before | {"TF32 in convolutions": False}


def test_stages_that_do_without_it_do_not_import_it() -> None:
    code = "import sys, plumbline.run.errors; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=True)
