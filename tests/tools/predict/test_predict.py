"""What the command says of an image, and by which model."""

import json
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from plumbline.model.model_file import write_model
from plumbline.results.predictions_file import read_predictions
from tests.conftest import PROJECT, write_image
from tests.support.models import small_model, with_score
from tests.support.projects import change_params, run_in
from tests.tools.predict.conftest import predict, rows
from tools.predict import prefetch


@pytest.mark.slow
def test_the_images_that_were_evaluated_are_predicted_alike(
    tiny_project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_project)
    found = {row["path"].removeprefix("data/digits/"): row for row in rows("data/digits")}
    evaluated = read_predictions()
    assert set(found) == set(evaluated["path"])
    for row in evaluated.itertuples():
        assert found[row.path]["predicted"] == row.predicted
        assert float(found[row.path]["probability"]) == pytest.approx(row.probability, abs=1e-5)
        if row.split != "train":
            assert float(found[row.path]["p_known"]) == row.p_known


@pytest.mark.slow
def test_the_model_of_an_earlier_commit_is_fetched_from_the_cache(
    tiny_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_copy)
    image = next(Path("data/digits/val/3").iterdir())
    before = rows(image)
    Path("models/finetuned.safetensors").unlink()
    run_in(tiny_copy, "git", "tag", "earlier")
    assert rows(image, "--model", "earlier") == before
    assert "there is no model file" in predict(image, status=1)[1]
    lacking = run_in(tiny_copy, "git", "rev-list", "--max-parents=0", "HEAD").stdout.strip()
    assert (
        f"{lacking} has no models/finetuned.safetensors within reach" in predict(image, "--model", lacking, status=1)[1]
    )
    assert "elsewhere is no revision" in predict(image, "--model", "elsewhere", status=1)[1]


def test_an_image_unlike_those_of_training_is_called_unknown(folder: Path) -> None:
    write_model(Path("models/finetuned.safetensors"), with_score(small_model()))  # of noise
    Image.new("RGB", (40, 40), "white").save("white.png")
    write_image(Path("noise.png"), size=(40, 40))
    white, noise = rows("white.png", "noise.png")
    assert (white["known"], float(white["p_known"])) == ("no", 1 / 25)
    assert noise["known"] == "yes" and float(noise["p_known"]) > 0.05
    objects = json.loads(predict("white.png", "noise.png", "--format", "json")[0])
    assert [(own["known"], own["p_known"]) for own in objects] == [(False, 0.04), (True, float(noise["p_known"]))]
    assert predict("white.png")[0].splitlines()[0].split() == ["path", "predicted", "probability", "known", "p_known"]
    # To keep more of the known images takes more val images than there are.
    output, errors = predict("white.png", "--keep", 0.99, "--format", "csv")
    assert output.splitlines()[1].endswith(",yes,0.04,,")
    assert errors == (
        "models/finetuned.safetensors: no image can be called unknown: to keep 0.99 of the known ones takes 99 val "
        "images, and there are 24\n"
    )
    assert "is not between 0 and 1" in predict("white.png", "--keep", 1, status=2)[1]


def test_with_a_coverage_each_image_has_a_set_of_classes(folder: Path) -> None:
    model = with_score(small_model())  # of 24 val images, eight of each class
    write_model(Path("models/finetuned.safetensors"), model)
    write_image(Path("noise.png"), size=(40, 40))
    Path("notes.txt").write_text("x")
    plain = rows("noise.png", "notes.txt", status=3)[0]
    (image, notes) = rows("noise.png", "notes.txt", "--coverage", 0.9, status=3)
    assert list(image) == ["path", "predicted", "probability", "set", "known", "p_known", "reason", "detail"]
    assert {key: value for key, value in image.items() if key != "set"} == plain
    assert (notes["set"], notes["reason"]) == ("", "not an image")
    own = image["set"].split("|")
    assert own[0] == image["predicted"] and set(own) <= set(model.classes)
    output, errors = predict("noise.png", "--coverage", 0.9, "--format", "jsonl")
    assert json.loads(output)["set"] == own
    assert "0.9 of images like those of val, over all classes together (each class would take 9" in errors
    assert predict("noise.png", "--coverage", 0.9)[0].splitlines()[0].split()[3:4] == ["set"]
    assert "0.8 of images like those of val, in each class, on" in predict("noise.png", "--coverage", 0.8)[1]
    output, errors = predict("noise.png", "--coverage", 0.99, status=1)
    assert (output, errors.count("\n")) == ("", 1)
    assert "takes 99 val images, and the model has seen 24" in errors
    write_model(Path("models/finetuned.safetensors"), small_model())
    assert "says nothing of its val images" in predict("noise.png", "--coverage", 0.9, status=1)[1]


def test_the_share_to_keep_is_that_of_params_yaml_where_there_is_one(folder: Path) -> None:
    write_model(Path("models/finetuned.safetensors"), with_score(small_model()))
    Image.new("RGB", (40, 40), "white").save("white.png")
    shutil.copy(PROJECT / "params.yaml", "params.yaml")
    for keep, known in ((0.97, "yes"), (0.95, "no")):  # its p-value is 1 / 25
        change_params(Path(), {"evaluate.unknown.keep": keep})
        assert rows("white.png")[0]["known"] == known
    assert rows("white.png", "--keep", 0.97)[0]["known"] == "yes"


def test_a_model_of_before_predicts_without_a_word_on_unknown_images_and_says_so_once(folder: Path) -> None:
    for i in range(40):  # three batches
        write_image(Path(f"photos/{i}.png"), seed=i)
    output, errors = predict("photos", "--format", "csv")
    assert all(line.endswith(",,,,") for line in output.splitlines()[1:])
    assert errors == (
        "models/finetuned.safetensors: has no score of unknown images: the columns known and p_known are empty; "
        "`dvc repro` writes one\n"
    )


def test_the_probabilities_are_the_networks_after_the_temperature(folder: Path) -> None:
    model = small_model()
    write_image(Path("a.png"), size=(40, 40))
    pixels = torch.from_numpy(np.array(Image.open("a.png"))).permute(2, 0, 1)[None, :, 4:36, 4:36] / 255
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (model.transform.mean, model.transform.std))
    with torch.no_grad():
        expected = (model.network().eval()((pixels - mean) / std) / 1.5).softmax(dim=1)[0]
    (row,) = rows("a.png", "--top", 3)
    found = {row["predicted"]: row["probability"]} | {row[f"predicted_{k}"]: row[f"probability_{k}"] for k in (2, 3)}
    assert [float(found[name]) for name in model.classes] == pytest.approx(expected.tolist(), abs=1e-6)


@pytest.mark.medium
def test_it_imports_nothing_that_it_does_not_need(folder: Path) -> None:
    write_image(Path("a.png"))
    code = """
import sys
from tools.predict.__main__ import main
sys.argv = ["predict", "a.png", "--format", "csv"]
main()
unneeded = {"pandas", "sklearn", "matplotlib", "pydantic", "dvc", "onnx", "onnxruntime", "statsmodels", "joblib"}
assert not unneeded & set(sys.modules), unneeded & set(sys.modules)
"""
    run_in(folder, "env", f"PYTHONPATH={PROJECT}", sys.executable, "-c", code)


def test_as_many_threads_decode_as_there_are_cores_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, one_core: None
) -> None:
    threads = []

    def pool(number: int) -> ThreadPoolExecutor:
        threads.append(number)
        return ThreadPoolExecutor(number)

    monkeypatch.setattr(prefetch, "ThreadPoolExecutor", pool)
    assert list(prefetch.decoded([], lambda path: path)) == []
    assert threads == [1]
