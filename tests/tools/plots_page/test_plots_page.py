"""The page of `dvc plots`, in a real browser without a network: every plot is drawn, whatever the data are called."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.browser import opened, undecoded_images
from tests.support.projects import change_params, commit_all, run_in

HOSTILE = "<!--<script>alert(1)</script><script>alert(2)</script></plaintext><img src=x onerror=alert(3)>\"';"


def make_page(project: Path) -> None:
    run_in(project, "python", "-m", "tools.plots_page")


def look_at(project: Path) -> None:
    """Assert that every plot that DVC lists is drawn, and every image shown."""
    with opened(project / "dvc_plots" / "index.html") as page:
        page.wait_for_function(
            "() => document.querySelectorAll('main > .vega-embed svg.marks').length"
            " === document.querySelectorAll('main > div[id]').length"
        )
        blank = page.evaluate(
            """() => [...document.querySelectorAll('main > .vega-embed')].filter((plot) =>
              !plot.querySelector('.mark-line path, .mark-symbol path, .mark-rect path, .mark-rule line')
            ).map((plot) => plot.id)"""
        )
        assert blank == []
        assert undecoded_images(page) == []
        assert page.locator("script").count() == 2


def drawn(project: Path) -> tuple[int, int]:
    """Return how many plots and images are shown."""
    with opened(project / "dvc_plots" / "index.html") as page:
        return page.locator("main > div.vega-embed").count(), page.locator("main img").count()


@pytest.mark.slow
def test_it_shows_every_plot_of_one_revision_and_both_of_two(tiny_copy: Path) -> None:
    make_page(tiny_copy)
    run_in(tiny_copy, "dvc", "plots", "show")
    look_at(tiny_copy)
    listed = json.loads(run_in(tiny_copy, "dvc", "plots", "show", "--json").stdout)["data"]
    images = [name for name in listed if name.endswith(".png")]
    plots = [name for name, data in listed.items() if data and name not in images]
    assert len(images) == 15
    assert drawn(tiny_copy) == (len(plots), len(images))
    change_params(tiny_copy, {"evaluate.confidence": 0.8})
    run_in(tiny_copy, "dvc", "repro", "plot")
    run_in(tiny_copy, "dvc", "plots", "diff")
    look_at(tiny_copy)
    assert drawn(tiny_copy) == (len(plots), 2 * len(images))


@pytest.mark.slow
def test_hostile_names_are_text(tiny_copy: Path) -> None:
    make_page(tiny_copy)
    for name in ("predictions", "label_doubts", "per_class", "roc"):
        path = tiny_copy / "plots" / f"{name}.csv"
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        path.unlink()
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            names = {"path", "actual", "predicted", "class", "suggested"} & set(rows[0])
            writer.writerows(row | {key: row[key] + HOSTILE for key in names} for row in rows)
    commit_all(tiny_copy, "hostile")
    run_in(tiny_copy, "dvc", "plots", "show")
    assert "alert(1)" in (tiny_copy / "dvc_plots" / "index.html").read_text()
    look_at(tiny_copy)
    with opened(tiny_copy / "dvc_plots" / "index.html") as page:
        page.wait_for_selector("#plots_per_class_csv svg.marks")
        assert "alert(1)" in page.locator("#plots_per_class_csv svg.marks").text_content()
