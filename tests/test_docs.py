"""The README and the pages in docs/: their examples run, their links lead somewhere, their figures are the metrics'.

A fenced block of a page, ```bash or ```python, is an example that runs as it stands, in a project whose pipeline has
run. What needs a server, a cluster or hours is indented by four spaces and is not run.
"""

import io
import json
import re
import sys
from pathlib import Path

import pytest

from plumbline.results.measures_file import MEASURES, read_measures
from tests.conftest import PROJECT, write_image
from tests.support.projects import run_in

README = PROJECT / "README.md"
BENCHMARKS = PROJECT / "benchmarks" / "README.md"
PAGES = sorted((PROJECT / "docs").glob("*.md"))
MOST_WORDS = 1300  # of README.md

# They need other machines; statistics.md tells of simulations.
WITHOUT_EXAMPLES = {"clusters.md", "distributed.md", "remotes.md", "scale.md", "statistics.md", "sweeps.md"}
WITH_EXAMPLES = [page for page in PAGES if page.name not in WITHOUT_EXAMPLES]

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SHELL = {"bash": ("bash", "-euo", "pipefail", "-c"), "python": (sys.executable, "-c")}

SHOWN = {  # a part of what the examples of each page print
    "beyond-one-machine": "Cache and remote 'store' are in sync.",
    "comparing": "McNemar's exact p",
    "data": "bee/broken.jpg,empty,the file has no bytes",
    "evaluation": "test,macro_f1,",
    "homework": "ok    both hand-written passes",
    "performance": "images_per_second",
    "report": "dvc_plots/index.html",
    "repository": "card",
    "reproducibility": "Data and pipelines are up to date.",
    "reviewing": "report/review.html: ",
    "security": "climbs out of the archive",
    "training": "metrics/finetune.json  val_loss",  # an accuracy of few images may be the same, by rounding
    "using-the-model": "data/digits/test/3/0023.png",
}

RESULT = "With the default parameters the test accuracy is "


def examples(page: Path) -> list[tuple[str, str]]:
    """Return the language and the text of a page's fenced blocks."""
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def write_photographs(folder: Path) -> None:
    """Write a user's own data set: two class folders of images, and one file that is empty."""
    for number, class_name in enumerate(("ant", "bee")):
        for i in range(8):
            write_image(folder / class_name / f"{i}.png", seed=100 * number + i)
    (folder / "bee" / "broken.jpg").touch()


def test_the_readme_is_short_and_has_one_picture() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.split()) <= MOST_WORDS
    assert text.count("![") == 1


def test_the_readme_names_every_page() -> None:
    index = README.read_text(encoding="utf-8") + (PROJECT / "docs" / "beyond-one-machine.md").read_text(
        encoding="utf-8"
    )
    assert [page.name for page in PAGES if f"{page.name})" not in index] == []


@pytest.mark.parametrize("page", [README, BENCHMARKS, *PAGES], ids=lambda page: page.parent.name + "/" + page.name)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(file), (
            f"{page.name} links to {target}, which is no heading of {file.name}"
        )


def test_the_readmes_result_is_that_of_the_committed_measures() -> None:
    """Both as they are staged: a run of the pipeline here may have ended a little otherwise."""
    readme, measures = (
        run_in(PROJECT, "git", "show", f":{name}").stdout for name in ("README.md", MEASURES.as_posix())
    )
    accuracy, images, low, high = read_measures(io.StringIO(measures))["test", "accuracy"]
    wanted = (
        f"{RESULT}{accuracy:.3f} ({round(accuracy * images)} of {images} images; "
        f"95 % interval {low:.3f} to {high:.3f})."
    )
    found = [line for line in readme.splitlines() if line.startswith(RESULT)]
    assert found == [wanted], f"README.md should have this one line, as {MEASURES} says:\n{wanted}"


def test_the_homeworks_answers_are_those_of_the_committed_metrics() -> None:
    backprop, layer = (
        json.loads((PROJECT / "metrics" / f"{stage}.json").read_text(encoding="utf-8"))
        for stage in ("backprop", "convolution")
    )
    shape = ", ".join(str(layer[f"output_{side}"]) for side in ("height", "width", "channels"))
    text = (PROJECT / "docs" / "homework.md").read_text(encoding="utf-8")
    for answer in (
        f"({backprop['network_backward_over_forward']:.3f} for ResNet34 as a whole)",
        f"shape ({shape})",
        f"{layer['input_channels']} input channels and {layer['output_channels']} output channels",
        f"{layer['macs']:,} multiply-adds",
        f"{layer['parameters']:,} parameters",
    ):
        assert answer in text, f"docs/homework.md should say: {answer}"


def test_the_homeworks_accuracies_are_those_of_the_committed_run() -> None:
    trained = json.loads(run_in(PROJECT, "git", "show", ":metrics/finetune.json").stdout)
    told = {
        split: f"{trained[f'{split}_accuracy']:.3f} ({round(trained[f'{split}_accuracy'] * images)} of {images}"
        for split, images in (("train", 60), ("val", 24))
    }
    text = (PROJECT / "docs" / "homework.md").read_text(encoding="utf-8")
    assert f"the train accuracy is {told['train']} images) and the val accuracy {told['val']})" in text


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_every_page_has_an_example(page: Path) -> None:
    assert examples(page)
    assert {language for language, _ in examples(page)} <= SHELL.keys()


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_the_examples_run_as_they_stand(tiny_copy: Path, page: Path) -> None:
    write_photographs(tiny_copy / "photos")
    done = [run_in(tiny_copy, *SHELL[language], text) for language, text in examples(page)]
    assert SHOWN[page.stem] in "".join(each.stdout for each in done)
