"""The model card: a header that the hub's library reads, numbers of the run, and code that runs as it stands."""

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt

from plumbline import Classifier
from plumbline.data.prepared import read_manifest
from plumbline.model.model_file import read_model, write_model
from plumbline.params.all import AllParams
from plumbline.results.measures_file import read_measures
from plumbline.run import params_file
from plumbline.run.errors import UserError
from plumbline.run.outputs import write_csv
from plumbline.run.paths import PREPARED
from stages.card import __main__ as card
from stages.card.tables_and_sentences import few, precision, table, text, untested
from tests.conftest import PROJECT, write_image
from tests.support.projects import TINY, change_params, run_in


def code_blocks(markdown: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", markdown, re.DOTALL)


@pytest.mark.slow
def test_the_hubs_library_reads_the_header_with_the_results(tiny_project: Path) -> None:
    read = ModelCard.load(tiny_project / "models/CARD.md")
    measures = read_measures(tiny_project / "plots/measures.csv")
    assert read.data.pipeline_tag == "image-classification"
    found = {(result.dataset_split, result.metric_type): result.metric_value for result in read.data.eval_results}
    assert found["test", "accuracy"] == pytest.approx(measures["test", "accuracy"].value, abs=1e-4)
    assert found["val", "log_loss"] == pytest.approx(measures["val", "calibrated_loss"].value, abs=1e-4)
    assert {split for split, _ in found} == {"val", "test"}


@pytest.mark.slow
def test_it_tells_the_run_and_where_it_comes_from(tiny_project: Path) -> None:
    contents = (tiny_project / "models/CARD.md").read_text()
    test = len(list((tiny_project / "data/digits/test/3").iterdir()))
    assert f"| 3       | 30      | 12    | {test}     |" in contents
    architecture = TINY["weights.architecture"].replace("_", r"\_")
    assert f"| weights.architecture            | {architecture} |" in contents
    sha256 = run_in(tiny_project, "sha256sum", "models/finetuned.safetensors").stdout.split()[0]
    assert sha256 in contents
    assert str(tiny_project) not in contents
    rendered = MarkdownIt("commonmark").enable("table").render(contents.split("---\n", 2)[2])
    assert rendered.count("<table>") == 5
    assert "| ---" not in rendered


@pytest.mark.slow
def test_its_code_runs_where_nothing_but_onnxruntime_numpy_and_pillow_is_installed(
    tiny_project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = re.findall(
        r"^(?:onnxruntime|numpy|pillow)==[^\\\n]+", (PROJECT / "requirements.txt").read_text(), re.MULTILINE
    )
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "bare"], check=True)
    python = tmp_path / "bare/bin/python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-input", *pinned], check=True)
    bare, whole = code_blocks((tiny_project / "models/CARD.md").read_text())
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "finetuned.onnx").write_bytes((tiny_project / "models/finetuned.onnx").read_bytes())
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    classifier = Classifier.load(tiny_project / "models/finetuned.safetensors")
    for size in ((63, 57), (90, 71), (71, 90), (200, 60)):  # odd and even differences, upright and not
        photograph = write_image(folder / "photo.jpg", size=size)
        printed = subprocess.run(
            [python, "-c", bare], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        predicted, probability = printed.stdout.split()
        (wanted,) = classifier(photograph)
        assert predicted == wanted.predicted
        assert float(probability) == pytest.approx(wanted.probability, abs=1e-4)
    assert "import torch" not in bare
    monkeypatch.chdir(tiny_project)
    write_image(folder / "other.png")
    code = whole.replace('"photo.jpg", "other.png"', f"{str(folder / 'photo.jpg')!r}, {str(folder / 'other.png')!r}")
    assert len(run_in(tiny_project, sys.executable, "-c", code).stdout.splitlines()) == 2


@pytest.mark.slow
def test_hostile_class_names_are_text_in_it(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    names = ["<img src=x>|`[a](b)*", "---\nx: $y$"]
    write_model(card.FINETUNED, replace(read_model(card.FINETUNED), classes=names))
    (PREPARED / "classes.json").write_text(json.dumps(names))
    manifest = read_manifest()
    write_csv(PREPARED / "manifest.csv", manifest.assign(**{"class": manifest["label"].map(dict(enumerate(names)))}))
    change_params(tiny_copy, {"data.root": "data/<b>photos</b>.zip"})
    card.main()
    contents = Path("models/CARD.md").read_text()
    rendered = MarkdownIt("commonmark").enable("table").render(contents.split("---\n", 2)[2])
    assert "<img" not in rendered
    assert "<b>" not in rendered
    assert "&lt;img src=x&gt;|`[a](b)*" in rendered
    yaml.safe_load(contents.split("---\n", 2)[1])


@pytest.mark.slow
def test_it_names_the_precision_of_the_training(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    path = Path("metrics/finetune.json")
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"precision_bits": torch.finfo(dtype).bits}))
        card.main()
        assert f"Multiplied in\n{dtype}; evaluated in float32".replace("torch.", "") in card.CARD.read_text()


def test_a_precision_of_other_bits_is_the_files_fault() -> None:
    with pytest.raises(UserError, match="metrics/finetune.json has 8 for precision_bits, which is none of 16, 32"):
        precision({"precision_bits": 8})


def test_what_was_not_tested_follows_from_the_data() -> None:
    settings = params_file.load(AllParams, PROJECT / "params.yaml")
    plain = untested(["train", "val", "test"], settings, {"near_duplicates": 0}, names_unknown=False)
    assert not any("no test split" in line or "nearly equal" in line for line in plain)
    assert any(line.startswith("Independence") for line in plain)
    counts = {"near_duplicates": 0, "groups": 5}  # perhaps by a table
    grouped = untested(["train", "val", "test"], settings, counts, names_unknown=False)
    assert not any(line.startswith("Independence") for line in grouped)
    more = untested(["train", "val"], settings, {"near_duplicates": 1234}, names_unknown=True)
    assert more[0].startswith("There is no test split")
    assert more[-1].startswith("1,234 nearly equal pictures")
    assert not any("calls unknown" in line for line in plain) and any("calls unknown" in line for line in more)


@pytest.mark.slow
def test_the_card_and_the_report_say_how_many_images_are_called_unknown(tiny_project: Path) -> None:
    share = read_measures(tiny_project / "plots/measures.csv")["test", "rejected_unknown"]
    contents = (tiny_project / "models/CARD.md").read_text()
    page = (tiny_project / "report/index.html").read_text()
    assert f"of {share.images} images of data/digits-source, on which the network was pre-trained" in contents
    for text_ in (contents, page):
        assert "The model calls an image unknown if its features are far from those of the training images." in text_
        assert "Sets of classes that are to hold the true one of 95.0% of images" in text_
    assert "further outputs: `unknown`" in contents


def test_long_lists_are_cut_and_say_so() -> None:
    assert few(["a", "b"]) == "a, b"
    assert few([f"c{i}" for i in range(25)]).endswith("c19 and 5 more")
    assert table(["n"], [[i] for i in range(150)]).splitlines()[-1].startswith("| ...")
    assert text("a\nb|c") == r"a\\nb\|c"
    assert text("http://x.com www.x.com a@x.com") == r"http:\//x.com www\.x.com a\@x.com"
