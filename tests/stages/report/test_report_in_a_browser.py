"""The page in a real browser, offline: of the tiny run, and of a run on hostile names."""

import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page

from stages.report import __main__ as report
from tests.support.browser import DESKTOP, PHONE, SCHEMES, opened, overflow, serious_violations, undecoded_images
from tests.support.formulas import operators_with_ink
from tests.support.projects import made_once
from tests.support.results import make_results

PAPER = 680  # pixels: 180 mm, A4 without its margins

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

    def make(folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patched:
            patched.chdir(folder)
            make_results(folder, tiny_project, list(HOSTILE))
            report.main()

    return made_once("hostile", tmp_path_factory, make) / report.PAGE


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


def split_words(page: Page, selector: str) -> list[str]:
    """Return the words in these elements that stand on more than one line."""
    return page.evaluate(
        """(selector) => [...document.querySelectorAll(selector)].flatMap((element) => {
          const text = element.firstChild;
          return [...text.data.matchAll(/[^\\s/-]+/g)].filter((word) => {
            const range = document.createRange();
            range.setStart(text, word.index);
            range.setEnd(text, word.index + word[0].length);
            return new Set([...range.getClientRects()].map((box) => box.top)).size > 1;
          }).map((word) => word[0]);
        })""",
        selector,
    )


@pytest.mark.slow
def test_on_a_phone_measures_stand_below_their_whole_names_formulas_wrap_and_the_graph_goes_down(
    tiny_project: Path,
) -> None:
    drawings = {}
    for width in (PHONE, DESKTOP):
        with opened(tiny_project / report.PAGE, width) as page:
            assert split_words(page, ".measures th") == split_words(page, ".measures .number") == []
            assert page.locator(".measures tbody .number").count() > 30
            right = page.evaluate(
                "() => Math.max(...[...document.querySelectorAll('.measures td')].map("
                "(each) => each.getBoundingClientRect().right))"
            )
            assert right <= width
            drawings[width] = page.locator("picture img").evaluate_all(
                "(images) => images.map((each) => each.naturalWidth / each.naturalHeight)"
            )
            wrapped = page.evaluate(
                "() => [...document.querySelectorAll('.formula math + math')].filter((each) => "
                "each.getBoundingClientRect().top >= each.previousSibling.getBoundingClientRect().bottom).length"
            )
            assert (wrapped > 0) == (width == PHONE)
    assert len(drawings[PHONE]) == 2
    assert max(drawings[PHONE]) < 1 < min(drawings[DESKTOP])


@pytest.mark.slow
@pytest.mark.parametrize("width", [PHONE, 1280])
def test_words_in_the_homeworks_tables_are_whole(tiny_project: Path, width: int) -> None:
    with opened(tiny_project / report.PAGE, width) as page:
        page.evaluate("() => document.querySelectorAll('details').forEach((each) => (each.open = true))")
        assert page.locator("#homework td").count() > 300
        assert split_words(page, "#homework :is(th, td):not(:empty)") == []


@pytest.mark.slow
@pytest.mark.parametrize("which", ["tiny", "hostile"])
def test_on_paper_everything_is_open_and_nothing_is_wider_than_the_page(
    tiny_project: Path, hostile_page: Path, which: str
) -> None:
    path = tiny_project / report.PAGE if which == "tiny" else hostile_page
    with opened(path, PAPER, "dark") as page:
        page.emulate_media(media="print")
        folded = page.locator("details:not([open])").count()
        assert folded > 10
        page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
        assert page.locator("details:not([open])").count() == 0
        assert overflow(page) <= 0
        wider = page.evaluate(
            "(width) => [...document.querySelectorAll('main *')].filter((each) => "
            "each.getBoundingClientRect().right > width + 1).map((each) => each.outerHTML.slice(0, 100))",
            PAPER,
        )
        assert wider == []
        assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert page.locator("nav, footer, .sliders input").filter(visible=True).count() == 0
        page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
        assert page.locator("details:not([open])").count() == folded


@pytest.mark.slow
def test_what_scrolls_sideways_shows_that_there_is_more(tiny_project: Path) -> None:
    """At the end where more is hidden the pixels are darker than in the same place once it is scrolled there."""
    with opened(tiny_project / report.PAGE, PHONE) as page:
        region = page.locator(".formula .wide").filter(has_text="46").first
        region.scroll_into_view_if_needed()
        box = region.bounding_box()
        clip = {"x": box["x"] + box["width"] - 6, "y": box["y"] + box["height"] / 2 - 3, "width": 5, "height": 2}
        assert region.evaluate("(each) => each.scrollWidth > each.clientWidth")
        darkness = []
        for _ in range(2):
            with Image.open(io.BytesIO(page.screenshot(clip=clip))) as image:
                darkness.append(255 - np.asarray(image.convert("L")).max())
            region.evaluate("(each) => each.scrollTo(each.scrollWidth, 0)")
        assert darkness[0] > darkness[1] + 10


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
        assert page.locator("script").count() == 1  # the page's own, for the figures with sliders
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
def test_figures_stand_with_the_question_that_they_answer(tiny_project: Path) -> None:
    with opened(tiny_project / report.PAGE) as page:
        order = page.locator("#backprop :is(h4, figure)").evaluate_all("(all) => all.map((each) => each.tagName)")
        # The graph with the forward pass, its numbers with the backward pass, two figures with the cost, none with memory.
        assert order == ["H4", "FIGURE", "H4", "FIGURE", "H4", "FIGURE", "FIGURE", "H4"]


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
