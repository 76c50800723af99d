"""The command as its users call it: what it takes, what it writes, and how it ends."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from plumbline.model.model_file import write_model
from plumbline.results.predictions_file import read_predictions
from tests.conftest import PROJECT, change_params, run_in, write_image
from tests.support.models import small_model, with_score
from tests.tools.predict.conftest import predict


def rows(*arguments: object, **options: object) -> list[dict[str, str]]:
    """Return what the command says, from its CSV."""
    return list(csv.DictReader(io.StringIO(predict(*arguments, "--format", "csv", **options)[0])))


def paths(*arguments: object, **options: object) -> list[str]:
    return [row["path"] for row in rows(*arguments, **options)]


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


def test_files_folders_patterns_archives_and_lists_are_taken_in_their_order(folder: Path) -> None:
    for name in ("a.png", "photos/z.png", "photos/deep/b.jpg", "more/x/1.png", "more/2.png", "photos/.hidden.png"):
        write_image(Path(name))
    with zipfile.ZipFile("old.zip", "w") as packed:
        packed.write("a.png", "inside/c.png")
    assert paths("old.zip", "photos", "a.png", "more/**/*.png") == [
        "old.zip/inside/c.png",
        "photos/deep/b.jpg",
        "photos/z.png",
        "a.png",
        "more/2.png",
        "more/x/1.png",
    ]
    assert paths("more/*") == ["more/2.png", "more/x/1.png"]
    assert paths("-", list_=b"a.png\nphotos/z.png\n") == ["a.png", "photos/z.png"]
    write_image(Path("two\nlines.png"))
    assert paths("--null", "-", list_=b"two\nlines.png\0a.png\0") == ["two\nlines.png", "a.png"]


def test_csv_json_lines_and_the_table_say_the_same(folder: Path) -> None:
    write_image(Path("photos/a, b.png"))
    Path("photos/notes.txt").write_text("x")
    (image, notes) = rows("photos", "--top", 2, status=3)
    assert list(image) == [
        "path", "predicted", "probability", "predicted_2", "probability_2", "known", "p_known", "reason", "detail",
    ]  # fmt: skip
    assert (image["path"], image["reason"]) == ("photos/a, b.png", "")
    assert (notes["predicted"], notes["reason"]) == ("", "not an image")
    assert float(image["probability"]) >= float(image["probability_2"])
    one, two = map(json.loads, predict("photos", "--top", 2, "--format", "jsonl", status=3)[0].splitlines())
    assert (one["path"], one["predicted"]) == ("photos/a, b.png", image["predicted"])
    assert [own["class"] for own in one["top"]] == [image["predicted"], image["predicted_2"]]
    assert one["top"][1]["probability"] == float(image["probability_2"])
    assert two == {"path": "photos/notes.txt", "reason": "not an image", "detail": "no known image format"}
    table, errors = predict("photos", status=3)
    assert table.splitlines()[0].split() == ["path", "predicted", "probability", "reason", "detail"]
    assert image["predicted"] in table.splitlines()[1]
    assert errors.endswith("1 of 2 files gave no image (1 not an image); their rows say why\n")


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


def test_an_output_file_is_whole_or_absent_and_its_suffix_says_its_format(folder: Path) -> None:
    write_image(Path("a.png"))
    predict("a.png", "--output", "out/p.csv")
    assert list(pd.read_csv("out/p.csv")["path"]) == ["a.png"]
    predict("a.png", "--output", "p.jsonl")
    assert json.loads(Path("p.jsonl").read_text())["path"] == "a.png"
    assert "does not exist" not in predict("a.png", "--output", "p.txt")[1]
    assert Path("p.txt").read_text().startswith("path ")
    Path("damaged.safetensors").write_bytes(b"x")
    predict("a.png", "--model", "damaged.safetensors", "--output", "q.csv", status=1)
    assert not list(Path().glob("q.*"))


def test_tsv_and_json_hold_the_rows_of_the_csv(folder: Path) -> None:
    for name in ("a, b.png", "c\td.png"):
        write_image(Path("photos", name))
    Path("photos/notes.txt").write_text("x")
    wanted = rows("photos", status=3)
    predict("photos", "--output", "p.TSV", status=3)
    with Path("p.TSV").open(newline="") as file:
        assert list(csv.DictReader(file, delimiter="\t")) == wanted
    predict("photos", "--output", "p.json", status=3)
    found = json.loads(Path("p.json").read_text())
    assert [own["path"] for own in found] == [own["path"] for own in wanted]
    assert found[0]["probability"] == float(wanted[0]["probability"])
    assert found[2]["reason"] == "not an image"


def test_an_unknown_suffix_is_refused_unless_a_format_is_given(folder: Path) -> None:
    write_image(Path("a.png"))
    line = predict("a.png", "--output", "p.xlsx", status=1)[1]
    assert line.startswith(
        "error: --output p.xlsx ends in .xlsx, which is no known format: end it in .txt, .csv, .tsv, .json"
    )
    assert not Path("p.xlsx").exists()
    predict("a.png", "--output", "p.dat", "--format", "csv")
    assert list(pd.read_csv("p.dat")["path"]) == ["a.png"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-8"])
def test_a_list_with_a_byte_order_mark_keeps_its_first_image(folder: Path, encoding: str) -> None:
    for name in ("a.png", "蜂.png"):
        write_image(Path(name))
    assert paths("-", list_="a.png\r\n蜂.png\r\n".encode(encoding)) == ["a.png", "蜂.png"]


def test_names_like_formulas_are_kept_and_made_inert_for_a_spreadsheet(folder: Path) -> None:
    for name in ("=1+1.png", "-2.png", "@x.png", "a=b.png"):
        write_image(Path(name))
    assert paths("=1+1.png", "./-2.png", "@x.png", "a=b.png") == ["=1+1.png", "-2.png", "@x.png", "a=b.png"]
    assert paths("=1+1.png", "@x.png", "a=b.png", "--spreadsheet") == ["'=1+1.png", "'@x.png", "a=b.png"]
    line = predict("a=b.png", "--spreadsheet", "--output", "p.json", status=1)[1]
    assert line.startswith("error: --spreadsheet is for csv and tsv, and the output's format is json")


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


def test_files_that_give_no_image_are_rows_with_their_reason(folder: Path) -> None:
    write_image(Path("photos/good.png"))
    whole = Path("photos/good.png").read_bytes()
    Path("photos/cut.png").write_bytes(whole[:100])
    Path("photos/empty.jpg").touch()
    Image.new("1", (12_000, 10_000)).save("photos/bomb.png")
    os.mkfifo("photos/pipe.png")
    Path("photos/loop").symlink_to("..")
    Path("photos/nothing.png").symlink_to("nowhere.png")
    found = {row["path"]: (row["reason"], row["detail"]) for row in rows("photos", status=3)}
    assert found.pop("photos/good.png") == ("", "")
    assert {path.removeprefix("photos/"): reason for path, (reason, _) in found.items()} == {
        "bomb.png": "too large",
        "cut.png": "truncated",
        "empty.jpg": "empty",
        "loop": "unreadable",
        "nothing.png": "unreadable",
        "pipe.png": "unreadable",
    }
    assert found["photos/bomb.png"][1] == "12000 x 10000 pixels, more than 100,000,000"
    assert found["photos/loop"][1] == "a folder that may not be listed, or a link to a folder"
    assert rows("photos/bomb.png", "--max-pixels", 10**9)[0]["reason"] == ""


def test_a_listed_file_that_is_not_there_is_a_row_and_a_named_one_an_error(folder: Path) -> None:
    write_image(Path("a.png"))
    missing, there = rows("-", list_=b"missing.png\na.png\n", status=3)
    assert (missing["reason"], missing["detail"]) == ("unreadable", "No such file or directory")
    assert there["reason"] == ""
    assert "error: there is no file or folder missing.png" in predict("a.png", "missing.png", status=1)[1]


NO_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"] if os.getuid() == 0 else []


@pytest.mark.slow
def test_a_folder_without_rights_is_an_error_when_named_and_a_row_below_another(folder: Path) -> None:
    write_image(Path("photos/a.png"))
    write_image(Path("photos/locked/b.png"))
    Path("photos/locked").chmod(0)
    try:
        command = [*NO_RIGHTS, sys.executable, "-m", "tools.predict", "--format", "jsonl"]
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        below = subprocess.run([*command, "photos"], env=environment, capture_output=True, text=True, check=False)
        named = subprocess.run(
            [*command, "photos/locked"], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        Path("photos/locked").chmod(0o700)
    assert below.returncode == 3, below.stderr
    _, locked = map(json.loads, below.stdout.splitlines())
    assert (locked["path"], locked["reason"]) == ("photos/locked", "unreadable")
    assert named.returncode == 1
    assert named.stderr.startswith("error: photos/locked: Permission denied")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["*.gif"], "error: no file matches *.gif"),
        (["empty"], "error: empty holds no files"),
        (["a.png", "--top", "4"], "error: --top is 4, and the model knows 3 classes"),
        (["cut.zip"], "error: cut.zip is neither a folder nor a whole .zip, .tar or .tar.gz archive"),
        (["a.png", "--model", "models"], "error: models is no file"),
        (["-"], "error: - holds no files"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(folder: Path, arguments: list[str], line: str) -> None:
    write_image(Path("a.png"))
    Path("empty").mkdir()
    Path("cut.zip").write_bytes(b"PK\3\4 and no more")
    output, errors = predict(*arguments, status=1)
    assert (output, errors.count("\n")) == ("", 1)
    assert errors.startswith(line)


def test_an_unusual_name_is_told_in_full(folder: Path) -> None:
    write_image(Path("photos/蜂.png"))
    shutil.copy("photos/蜂.png", os.fsdecode(b"photos/\xff.png"))
    assert sorted(paths("photos")) == ["photos/\\xff.png", "photos/蜂.png"]


@pytest.mark.medium
def test_a_reader_that_ends_early_ends_it_without_a_word(folder: Path) -> None:
    write_image(Path("a.png"))
    write_model(Path("models/finetuned.safetensors"), with_score(small_model()))
    command = f"{sys.executable} -m tools.predict a.png --format csv 2>errors.txt | true"
    subprocess.run(command, shell=True, env=os.environ | {"PYTHONPATH": str(PROJECT)}, check=True)
    assert Path("errors.txt").read_text() == ""


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
