"""What the command writes: the same rows in every form, a file that is whole or absent, names as they are."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from plumbline.model.model_file import write_model
from tests.conftest import PROJECT, write_image
from tests.support.models import small_model, with_score
from tests.tools.predict.conftest import paths, predict, rows


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


def test_images_whose_likeliest_class_is_not_likely_enough_are_abstained(folder: Path) -> None:
    write_model(Path("models/finetuned.safetensors"), with_score(small_model()))
    for seed in range(6):
        write_image(Path(f"photos/{seed}.png"), seed=seed)
    Path("photos/notes.txt").write_text("x")
    before = rows("photos", status=3)
    shares = sorted(float(row["probability"]) for row in before[:-1])
    border = (shares[2] + shares[3]) / 2
    found = rows("photos", "--abstain-below", border, "--coverage", 0.9, status=3)
    assert list(found[0]) == ["path", "predicted", "probability", "abstained", "set", "known", "p_known", "reason", "detail"]  # fmt: skip
    assert [row.pop("abstained") for row in found] == [
        *("yes" if float(row["probability"]) < border else "no" for row in before[:-1]), ""
    ]  # fmt: skip
    assert [row | {"set": ""} for row in found] == [row | {"set": ""} for row in before]
    lines = predict("photos", "--abstain-below", border, "--format", "jsonl", status=3)[0].splitlines()
    assert sum(json.loads(line).get("abstained", False) for line in lines) == 3
    at_one = rows("photos", "--abstain-below", shares[2], status=3)
    assert [row["abstained"] for row in at_one].count("yes") == 2


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


def test_names_like_formulas_are_kept_and_made_inert_for_a_spreadsheet(folder: Path) -> None:
    for name in ("=1+1.png", "-2.png", "@x.png", "a=b.png"):
        write_image(Path(name))
    assert paths("=1+1.png", "./-2.png", "@x.png", "a=b.png") == ["=1+1.png", "-2.png", "@x.png", "a=b.png"]
    assert paths("=1+1.png", "@x.png", "a=b.png", "--spreadsheet") == ["'=1+1.png", "'@x.png", "a=b.png"]
    line = predict("a=b.png", "--spreadsheet", "--output", "p.json", status=1)[1]
    assert line.startswith("error: --spreadsheet is for csv and tsv, and the output's format is json")


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
