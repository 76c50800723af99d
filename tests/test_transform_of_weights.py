"""image.fit, image.interpolation and `pretrained`: the same in the arrays, the model file, prediction, exports and card."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.transforms import v2

from plumbline import Classifier
from plumbline.data.prepared import read_resizing
from plumbline.images.square import PADDING, to_square
from plumbline.images.unreadable import Unreadable
from plumbline.model import description
from plumbline.model.description import Transform, read_description
from plumbline.model.model_file import fields_set, write_model
from plumbline.run.errors import UserError
from plumbline.training.model_fits_data import refuse_other_resizing
from stages.card import __main__ as card
from stages.curvature import __main__ as curvature
from stages.export.from_pixels import description as exported_description
from stages.finetune import __main__ as finetune
from stages.params import __main__ as params
from stages.prepare import __main__ as prepare
from stages.prepare.outliers import done_to_it
from stages.weights import __main__ as weights
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.finetune.conftest import pass_checks
from tests.support.models import SMALL, small_model
from tests.support.python_path import python_path

LITE0 = "timm/tf_efficientnet_lite0"
MODES = {"bilinear": v2.InterpolationMode.BILINEAR, "bicubic": v2.InterpolationMode.BICUBIC}


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(list(MODES)))
def test_the_centre_and_the_stretched_image_are_bit_for_bit_torchvisions(width: int, height: int, mode: str) -> None:
    image = noise(width, height)
    cropped = v2.Compose([v2.Resize(33, MODES[mode]), v2.CenterCrop(33)])(image)
    np.testing.assert_array_equal(np.asarray(to_square(image, 33, "crop", mode)), np.asarray(cropped))
    stretched = v2.Resize((33, 33), MODES[mode])(image)
    np.testing.assert_array_equal(np.asarray(to_square(image, 33, "squash", mode)), np.asarray(stretched))


@pytest.mark.parametrize(("width", "height", "left", "top"), [(80, 40, 0, 8), (40, 80, 8, 0), (50, 50, 0, 0)])
def test_a_padded_image_is_whole_and_in_the_middle(width: int, height: int, left: int, top: int) -> None:
    square = np.asarray(to_square(noise(width, height), 32, "pad", "bicubic"))
    inner = square[top : 32 - top, left : 32 - left]
    whole = v2.Resize(inner.shape[:2], MODES["bicubic"])(noise(width, height))
    np.testing.assert_array_equal(inner, np.asarray(whole))
    border = np.ones((32, 32), bool)
    border[top : 32 - top, left : 32 - left] = False
    # ImageNet's mean colour, 0.485, 0.456, 0.406 of 255.
    assert (square[border] == (124, 116, 104)).all()
    assert PADDING == description.PADDING == (124, 116, 104)


def test_an_image_too_long_to_be_padded_gives_no_image() -> None:
    with pytest.raises(Unreadable, match="1000 x 1 pixels: one side is far too long"):
        to_square(noise(1000, 1), 32, "pad")
    assert to_square(noise(1000, 1), 32, "squash").size == (32, 32)


def test_the_audit_says_what_becomes_of_a_long_image() -> None:
    assert done_to_it("crop", 0.4) == "mostly cut off: the centre square holds 40%"
    assert done_to_it("pad", 0.4) == "mostly padding: the image fills 40% of the square"
    assert done_to_it("squash", 0.4) == "much stretched: one side 2.5 times as much as the other"


@pytest.fixture
def photographs(workspace: Workspace) -> Workspace:
    write_data_set(Path("photos"), images=4)
    write_image(Path("photos/train/ant/strip.png"), seed=900, size=(100, 40))
    workspace.set(data__root="photos", image__crop=32, image__resize=32, weights__architecture=SMALL)
    workspace.set(weights__source="none", finetune__epochs=1)
    return workspace


@pytest.mark.medium
@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_what_predicts_sees_the_arrays_on_which_the_model_was_trained(photographs: Workspace, fit: str) -> None:
    photographs.set(image__fit=fit, image__interpolation="bicubic")
    prepare.main()
    assert read_resizing() == {"fit": fit, "interpolation": "bicubic"}
    noted = "mostly padding" if fit == "pad" else "much stretched"
    assert noted in Path("data/audit/images.csv").read_text()
    weights.main()
    pass_checks()
    finetune.main()
    classifier = Classifier.load(Path("models/finetuned.safetensors"))
    assert (classifier.transform.fit, classifier.transform.interpolation) == (fit, "bicubic")
    trained_on = np.load("data/prepared/train.npy")
    lines = Path("data/prepared/manifest.csv").read_text().splitlines()
    (row,) = (i for i, line in enumerate(line for line in lines if line.startswith("train,")) if "strip" in line)
    np.testing.assert_array_equal(classifier.pixels("photos/train/ant/strip.png"), trained_on[row])


def test_the_usual_transform_leaves_no_trace_so_that_files_stay_as_they_were(photographs: Workspace) -> None:
    prepare.main()
    assert sorted(path.name for path in Path("data/prepared").iterdir()) == [
        "classes.json", "manifest.csv", "train.npy", "val.npy",
    ]  # fmt: skip
    assert fields_set(Transform(40, 32, [0.5] * 3, [0.5] * 3)) == {
        "resize": 40, "crop": 32, "mean": [0.5] * 3, "std": [0.5] * 3,
    }  # fmt: skip


def test_arrays_that_were_made_otherwise_are_one_line(photographs: Workspace) -> None:
    prepare.main()
    weights.main()
    pass_checks()
    photographs.set(image__fit="pad")
    for stage in (curvature, finetune):
        with pytest.raises(
            UserError, match="^params.yaml says image.fit: pad, and data/prepared was made with crop: run"
        ):
            stage.main()
    transform = replace(small_model().transform, interpolation="bicubic")
    with pytest.raises(UserError, match=r"^m trained with image.interpolation: bicubic, and .* with bilinear"):
        refuse_other_resizing(transform, "m trained with")


def test_pretrained_is_what_the_weights_were_trained_with_from_the_arrays_to_the_model(workspace: Workspace) -> None:
    write_data_set(Path("photos"), images=3)
    keys = ("resize", "crop", "mean", "std", "interpolation")
    workspace.set(data__root="photos", weights__architecture=LITE0, weights__source="imagenet")
    workspace.set(**{f"image__{key}": "pretrained" for key in keys})
    params.main()
    # Source: timm's page of the model, tf_efficientnet_lite0.in1k: 224 x 224, crop_pct 0.875, bicubic, mean and std 0.5.
    assert json.loads(Path("data/pretrained_pixels.json").read_text()) == {"resize": 256, "interpolation": "bicubic"}
    prepare.main()
    assert np.load("data/prepared/train.npy").shape == (6, 256, 256, 3)
    weights.main()
    made = read_description(Path("models/backbone.safetensors")).transform
    assert made == Transform(256, 224, [0.5] * 3, [0.5] * 3, interpolation="bicubic")
    workspace.set(image__fit="squash")  # the whole image is what the network sees
    params.main()
    assert json.loads(Path("data/pretrained_pixels.json").read_text())["resize"] == 224


def test_sizes_that_do_not_agree_once_they_are_filled_in_are_one_line(workspace: Workspace) -> None:
    workspace.set(weights__architecture=LITE0, image__crop="pretrained", image__resize=200)
    with pytest.raises(
        UserError, match=r"`pretrained` filled in: image.crop is 224: should be at most image.resize, 200$"
    ):
        params.main()
    workspace.set(image__crop=180, image__fit="pad")
    with pytest.raises(UserError, match=r"image.fit is pad, .* image.resize, 200, should be image.crop, 180$"):
        params.main()
    workspace.set(image__fit="crop", image__mean="pretraind")
    with pytest.raises(UserError, match=r"image.mean is 'pretraind': should be a valid list"):
        params.main()


def test_the_params_stage_refuses_an_unknown_name(workspace: Workspace) -> None:
    workspace.set(weights__architecture="timm/efficientnet_lite00")
    with pytest.raises(UserError, match="did you mean timm/efficientnet_lite0"):
        params.main()
    assert not Path("data/certificates/params.txt").exists()


def test_the_params_stage_needs_no_torch_for_a_known_name(workspace: Workspace) -> None:
    workspace.set(weights__architecture=LITE0)
    code = "import sys; from stages.params.__main__ import main; main(); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], env=os.environ | python_path(), check=True)
    assert Path("data/certificates/params.txt").exists()


@pytest.mark.parametrize("fit", ["crop", "pad", "squash"])
def test_the_exports_say_in_words_what_the_cards_code_does(tmp_path: Path, fit: str) -> None:
    transform = replace(small_model().transform, resize=32, fit=fit, interpolation="bicubic")
    model = small_model(transform=transform)
    words = exported_description(model, "", 0.95)
    assert json.loads(words["transform"]).get("fit", "crop") == fit
    assert "32 pixels, bicubic" in words["input"]
    write_model(tmp_path / "m.safetensors", model)
    pixels = Classifier.load(tmp_path / "m.safetensors").pixels(noise(70, 50))
    np.testing.assert_array_equal(pixels, run_cards_code(transform, noise(70, 50)))


def run_cards_code(transform: Transform, image: Image.Image) -> np.ndarray:
    """Return the square that the lines of the card make of an image."""
    template = Path(card.__file__).with_name("card.md.jinja").read_text()
    lines = re.search(r"\.convert\(\"RGB\"\)\n(.*?)probabilities =", template, re.DOTALL)[1]
    rendered = (
        card.Environment(trim_blocks=True)
        .from_string(lines)
        .render(model={"transform": transform}, size=transform.resize, padding=description.PADDING)
    )
    names = {"image": image, "Image": Image, "ImageOps": ImageOps}
    exec(rendered, names)
    return np.asarray(names["square"])
