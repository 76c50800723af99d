"""Look at a page as a reader's browser does: with the network cut off, in any width and colour scheme."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PHONE, DESKTOP = 390, 1440  # pixels
SCHEMES = ("light", "dark")


@contextmanager
def opened(path: Path, width: int = DESKTOP, scheme: str = "light") -> Iterator[Page]:
    """Open a file in headless Chromium; at the end assert that it complained of nothing and asked for nothing else."""
    if CHROMIUM is None and "CI" not in os.environ:
        pytest.skip("there is no Chromium here: install Debian's chromium")
    complaints, requests = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        page = context.new_page()  # of a context that may have more of them
        context.set_offline(True)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: (complaints.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: requests.append(request.url))
        try:
            page.goto(path.absolute().as_uri(), wait_until="load")
            yield page
        finally:
            browser.close()
    assert complaints == []
    assert [url for url in requests if not url.startswith(("file:", "data:", "blob:"))] == []


def undecoded_images(page: Page) -> list[str]:
    """Return the alternative texts of images that show nothing, and an empty one for an image without."""
    return page.evaluate(
        """async () => {
          const images = [...document.images];
          await Promise.all(images.map((image) => image.decode().catch(() => null)));
          return images.filter((image) => !image.naturalWidth || !image.alt.trim()).map((image) => image.alt);
        }"""
    )


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window."""
    return page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth")


def serious_violations(page: Page) -> list[str]:
    """Return what axe-core finds that is serious or critical, WCAG AA's contrast included."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['nodes'][0]['html'][:200]}"
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]
