"""The table and the figure against tables made by hand, and the command on a repository with experiments."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure
from statsmodels.stats.proportion import proportion_confint

from plumbline.run.errors import UserError
from tests.conftest import PROJECT
from tests.support.projects import change_params, commit_all, made_once, run_in
from tests.support.unevaluated import make_repository
from tools.sweep.__main__ import drawn_parameters
from tools.sweep.experiments import Answers, Experiment, Sweep, varying
from tools.sweep.figure import draw, write_figure
from tools.sweep.table import as_text


def experiment(name: str, right: int, **params: object) -> Experiment:
    """Return one with so many of 24 images right; a double underscore stands for the dot: finetune__lr=0.1."""
    low, high = proportion_confint(right, 24, method="wilson")
    own = {"evaluate.confidence": 0.95, "seed": 0} | {key.replace("__", "."): value for key, value in params.items()}
    return Experiment(name, "ab12", own, right / 24, low, high, 24)


GRID = [
    experiment("a", 18, finetune__lr=0.01, finetune__schedule="constant"),
    experiment("b", 24, finetune__lr=0.001, finetune__schedule="cosine"),
    experiment("c", 21, finetune__lr=0.001, finetune__schedule="constant"),
    experiment("d", 12, finetune__lr=0.01, finetune__schedule="cosine"),
]


def sweep_of(experiments: list[Experiment], unfinished: dict[str, str] | None = None) -> Sweep:
    return Sweep("val", 0.95, experiments, unfinished or {})


def test_only_the_parameters_that_differ_are_named_in_the_order_of_params_yaml() -> None:
    assert varying(GRID) == ["finetune.lr", "finetune.schedule"]
    assert varying(GRID[:1]) == []
    assert varying([experiment("a", 1, x=1), experiment("b", 1)]) == ["x"]


def test_the_table_has_the_best_first_with_its_interval() -> None:
    lines = as_text(sweep_of(GRID, {"e": "failed"}), varying(GRID), markdown=False).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["b", "c", "a", "d"]
    # Wilson 1927: of 24 right of 24 the interval is from 24 / (24 + 1.95996^2) to 1
    assert lines[1].split() == ["b", "1.0000", "0.8620", "to", "1.0000", "0.001", "cosine"]
    assert lines[-1] == "Not among them: e (failed)"
    markdown = as_text(sweep_of(GRID), varying(GRID), markdown=True).splitlines()
    assert [cell.strip() for cell in markdown[2].split("|")[1:-1]] == [
        "b",
        "1.0000",
        "0.8620 to 1.0000",
        "0.001",
        "cosine",
    ]


def test_the_best_of_several_has_an_interval_that_allows_for_the_choice() -> None:
    text = as_text(sweep_of(GRID), varying(GRID), markdown=False)
    # Clopper and Pearson's of 24 of 24, at 1 - 0.05 / 4: from (0.05 / 4 / 2)^(1 / 24) to 1
    assert (
        f"b is the best of 4, which makes its val accuracy too high and its interval too narrow: allowing for the choice it is {0.00625 ** (1 / 24):.4f} to 1.0000"
        in text
    )
    assert "the best of" not in as_text(sweep_of(GRID[:1]), [], markdown=False)
    assert "choose by val instead" in as_text(Sweep("test", 0.95, GRID, {}), varying(GRID), markdown=False)


def test_the_interval_of_the_best_allows_for_images_that_belong_together() -> None:
    twelve_pairs = Answers(np.full(24, True), np.repeat(np.arange(12), 2))
    text = as_text(replace(sweep_of(GRID), answers=twelve_pairs), varying(GRID), markdown=False)
    # All are right: each pair counts as one image. Clopper and Pearson's of 12 of 12, at 1 - 0.05 / 4.
    assert f"allowing for the choice it is {0.00625 ** (1 / 12):.4f} to 1.0000" in text
    alone = replace(sweep_of(GRID), answers=Answers(np.full(24, True), None))
    assert as_text(alone, [], markdown=False) == as_text(sweep_of(GRID), [], markdown=False)


def test_experiments_on_other_images_than_the_best_are_named() -> None:
    a, b, c, d = GRID  # b is the best
    on = [replace(each, image_set=images) for each, images in ((a, "ab"), (b, "cd"), (c, "cd"), (d, None))]
    text = as_text(sweep_of(on), [], markdown=False)
    assert "Other val images than those of the best: a; " in text
    assert "is the best of 3," in text
    alike = [replace(each, image_set="cd") for each in GRID]
    for whose in (alike, GRID):  # where they are unknown, nothing is said
        assert "Other val images" not in as_text(sweep_of(whose), [], markdown=False)


def lines_of(figure: Figure) -> dict[str, list[tuple[int, float, float, float]]]:
    """Return what is drawn of each line: the place on the axis, the accuracy, and the ends of its bar."""
    found = {}
    for container in figure.axes[0].containers:
        line, _, (bars,) = container.lines
        rows = [
            (round(x), float(y), float(low), float(high))
            for (x, y), ((_, low), (_, high)) in zip(line.get_xydata(), bars.get_segments(), strict=True)
        ]
        found[container.get_label()] = rows
    return found


def test_two_parameters_give_a_line_for_each_value_of_the_second() -> None:
    figure = draw(sweep_of(GRID), ["finetune.lr", "finetune.schedule"])
    drawn = lines_of(figure)
    b, c, a, d = (GRID[i] for i in (1, 2, 0, 3))
    for label, left, right in (("finetune.schedule constant", c, a), ("finetune.schedule cosine", b, d)):
        wanted = [(0, left.accuracy, left.low, left.high), (1, right.accuracy, right.low, right.high)]
        for row, values in zip(drawn[label], wanted, strict=True):
            assert row == pytest.approx(values)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["0.001", "0.01"]


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([10, 9, 0.5, 1e-05], ["1e-05", "0.5", "9", "10"]),
        (["step", None, "cosine", True], ["cosine", "null", "step", "true"]),
        ([[0.5, 0.5], [0.1]], ["[0.1]", "[0.5, 0.5]"]),
        (["$x", "$y$"], ["$x", "$y$"]),
    ],
    ids=["numbers", "words", "lists", "dollars"],
)
def test_values_stand_in_order_on_the_axis(values: list, order: list[str], tmp_path: Path) -> None:
    sweep = sweep_of([experiment(str(number), number, key=value) for number, value in enumerate(values)])
    assert [text.get_text() for text in draw(sweep, ["key"]).axes[0].get_xticklabels()] == order
    write_figure(tmp_path / "sweep.svg", sweep, ["key"])
    texts = [
        element.text for element in ElementTree.parse(tmp_path / "sweep.svg").iter() if element.tag.endswith("text")
    ]
    assert [text for text in texts if text in order] == order


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_sweep_gives_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{number}{suffix}" for number in range(2)]
    for path in paths:
        write_figure(path, sweep_of(GRID), ["finetune.lr", "finetune.schedule"])
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes()[:4] in (b"\x89PNG", b"<?xm")


@pytest.mark.parametrize(
    ("wished", "differing", "keys"),
    [(None, ["a"], ["a"]), (None, ["a", "b"], ["a", "b"]), (["c", "a"], ["a", "b", "c"], ["c", "a"])],
)
def test_one_or_two_parameters_are_drawn(wished: list[str] | None, differing: list[str], keys: list[str]) -> None:
    assert drawn_parameters(wished, differing, 4) == keys


@pytest.mark.parametrize(
    ("wished", "differing", "line"),
    [
        (None, ["a", "b", "c"], "a, b, c differ, too many for a figure: name one or two with --parameter"),
        (["d"], ["a"], "d is the same in all experiments: a differs"),
        (None, [], "no parameter differs between 4 experiments: there is nothing to draw"),
    ],
    ids=["too many", "the same", "none"],
)
def test_what_cannot_be_drawn_is_said(wished: list[str] | None, differing: list[str], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}$"):
        drawn_parameters(wished, differing, 4)


STAGE = """\
import yaml
lr = yaml.safe_load(open("params.yaml"))["finetune"]["lr"]
right = {0.001: 21, 0.01: 24}[lr]
row = f"val,accuracy,{right / 24},{right / 24 - 0.2},{right / 24},24"
print("split,measure,value,low,high,images", row, sep="\\n", file=open("plots/measures.csv", "w"))
rows = [f"val,{int(i < right)},{i // 4}" for i in range(24)]
print("split,correct,cluster", *rows, sep="\\n", file=open("plots/predictions.csv", "w"))
"""
PIPELINE = """\
stages:
  evaluate:
    cmd: python evaluate.py
    params:
    - finetune.lr
    plots:
    - plots/measures.csv:
        cache: false
    - plots/predictions.csv:
        cache: false
"""


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository whose pipeline knows the accuracy of two learning rates by heart, and fails at any other."""
    folder = tmp_path / "repository"
    (folder / "plots").mkdir(parents=True)
    (folder / "plots" / ".gitkeep").touch()
    run_in(folder, "git", "init", "--quiet", "--initial-branch=main")
    run_in(folder, "dvc", "init", "--quiet")
    (folder / "params.yaml").write_text((PROJECT / "params.yaml").read_text())
    change_params(folder, {})
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "evaluate.py").write_text(STAGE)
    commit_all(folder, "A pipeline")
    return folder


def sweep(folder: Path, *arguments: str) -> tuple[str, str, int]:
    command = ("env", f"PYTHONPATH={PROJECT}", "python", "-m", "tools.sweep", *arguments)
    done = run_in(folder, *command, check=False)
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr, done.returncode


@pytest.mark.slow
def test_the_command_reads_a_grid_that_the_queue_has_run(repository: Path) -> None:
    refused = sweep(repository)
    assert refused[1:] == ("error: no experiment on HEAD is finished; `dvc exp show` lists them\n", 1)
    run_in(repository, "dvc", "exp", "run", "--queue", "-S", "finetune.lr=0.001,0.01,0.1")
    waiting = sweep(repository)[1]
    assert waiting.startswith("error: no experiment on HEAD is finished; 3 are not: "), waiting
    run_in(repository, "dvc", "queue", "start")  # waits until the worker ends, which keeps its output open
    output, errors, status = sweep(repository)
    rows = [line.split() for line in output.splitlines()]
    assert [row[1:] for row in rows[1:3]] == [
        ["1.0000", "0.8000", "to", "1.0000", "0.01"],
        ["0.8750", "0.6750", "to", "0.8750", "0.001"],
    ]
    # Six groups of four, all right: Clopper and Pearson's of 6 of 6, at 1 - 0.05 / 2.
    assert f"allowing for the choice it is {0.0125 ** (1 / 6):.4f} to 1.0000" in output
    assert rows[-1][:3] == ["Not", "among", "them:"] and rows[-1][-1] == "(failed)"
    assert (errors, status) == ("plots/sweep.png shows them\n", 0)
    assert (repository / "plots" / "sweep.png").exists()


@pytest.mark.medium
@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["nowhere"], "error: nowhere is no revision: name a commit, a branch or a tag\n"),
        (["--output", "sweep.pdf"], "error: sweep.pdf is neither PNG nor SVG: end its name in .png or .svg\n"),
    ],
    ids=["revision", "suffix"],
)
def test_a_mistake_is_answered_in_one_line(repository: Path, arguments: list[str], line: str) -> None:
    assert sweep(repository, *arguments) == ("", line, 1)


@pytest.mark.slow
def test_an_experiment_that_was_not_evaluated_is_not_ranked_and_one_on_other_images_is_named(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    figure = tmp_path / "sweep.svg"
    output, _, _ = sweep(made_once("unevaluated", tmp_path_factory, make_repository), "--output", str(figure))
    rows = [line.split()[:2] for line in output.splitlines()]
    assert rows[1:4] == [["whole", "1.0000"], ["other_images", "0.8750"], []]
    assert "Other val images than those of the best: other_images; " in output
    start, left_out = output.splitlines()[-1].split(": ")
    assert start == "Not among them"
    assert sorted(left_out.split(", ")) == [f"{name} (not evaluated)" for name in ("data", "model", "parameters")]
