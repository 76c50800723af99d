"""The page in a real browser, offline: of the tiny run, and of a run on hostile names."""

import itertools
import re
from pathlib import Path

import pytest

from stages.report import __main__ as report
from tests.support.browser import DESKTOP, PHONE, SCHEMES, opened, overflow, serious_violations, undecoded_images
from tests.support.formulas import operators_with_ink
from tests.support.results import make_results

HOSTILE = (
    "<!--<script>",
    "<img src=x onerror=alert(1)>",
    "a<",
    "\"quoted' & $\\alpha$",
    "עברית",
    "😀🐝",
    "q" * 200,
)


@pytest.fixture(scope="module")
def hostile_page(tiny_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run whose classes and files have hostile names."""
    folder = tmp_path_factory.mktemp("hostile")
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        make_results(folder, tiny_project, list(HOSTILE))
        report.main()
    return folder / report.PAGE


@pytest.mark.slow
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("which", ["tiny", "hostile"])
def test_it_is_whole_accessible_and_fits_in_every_width_and_scheme(
    tiny_project: Path, hostile_page: Path, which: str, width: int, scheme: str
) -> None:
    path = tiny_project / report.PAGE if which == "tiny" else hostile_page
    with opened(path, width, scheme) as page:
        assert undecoded_images(page) == []
        assert page.locator("figure img").count() >= 14
        assert page.locator("math").count() >= 20
        assert overflow(page) <= 0
        assert serious_violations(page) == []
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert overflow(page) <= 0


@pytest.mark.slow
def test_every_operator_of_every_formula_is_drawn(tiny_project: Path) -> None:
    with opened(tiny_project / report.PAGE) as page:
        operators = operators_with_ink(page)
        roots, fences = ([each for each in operators if each.name == name] for name in ("msqrt", "fence"))
        assert [each for each in operators if each.ink is None] == []
        assert roots
        assert any("\N{LEFT FLOOR}" in each.formula for each in fences)
        assert [each for each in fences if each.ink < 0.8 * each.height_of_neighbour] == []


@pytest.mark.slow
def test_hostile_names_are_text(hostile_page: Path) -> None:
    with opened(hostile_page) as page:
        text = page.locator("#data").inner_text()
        for name in HOSTILE:
            assert name in text
        assert page.locator("script").count() == 0
        assert page.locator("img[onerror]").count() == 0


@pytest.mark.slow
def test_the_run_comes_first_and_the_homework_is_one_click_away(tiny_project: Path) -> None:
    with opened(tiny_project / report.PAGE) as page:
        titles = page.locator("h2").all_inner_texts()
        assert titles == ["Result", "Data", "Mistakes", "What changed", "Training", "Provenance", "Homework"]
        assert re.match(r"\d+ of \d+ test images are classified correctly", page.locator(".headline").inner_text())
        page.locator("header a[href='#homework']").click()
        assert page.evaluate("() => location.hash") == "#homework"
        problems = page.locator("#homework h3").all_inner_texts()
        assert [title.split(":")[0] for title in problems] == [f"Problem {number}" for number in range(1, 5)]


@pytest.mark.slow
def test_the_keyboard_reaches_the_content_first(tiny_project: Path) -> None:
    with opened(tiny_project / report.PAGE) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
        headings = page.evaluate("() => [...document.querySelectorAll('h1, h2, h3')].map((h) => Number(h.tagName[1]))")
        assert headings[0] == 1
        assert all(after <= before + 1 for before, after in itertools.pairwise(headings))
        for link in page.locator("nav a").all():
            assert page.locator(link.get_attribute("href")).count() == 1
