"""Write .dvc/plots_page.html, the page that .dvc/config names for `dvc plots`. `make setup` runs it.

python -m tools.plots_page
"""

from pathlib import Path

import vl_convert

from plumbline.run.errors import run
from plumbline.run.outputs import whole_file

PAGE = Path(".dvc/plots_page.html")
SOURCES = Path(__file__).parent


def main() -> None:
    page = (SOURCES / "page.html").read_text(encoding="utf-8")
    script = (SOURCES / "show_plots.js").read_text(encoding="utf-8")
    vega = vl_convert.javascript_bundle()
    for mark, contents in (("VEGA", vega), ("SHOW_PLOTS", script)):
        assert "</script" not in contents.lower(), f"{mark} would end its own script element"
        page = page.replace(f"/* {mark} */", contents)
    with whole_file(PAGE) as partial:
        partial.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    run(main)
