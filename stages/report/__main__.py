"""Tell the whole story on one page: the homework solved, the run, its mistakes, and where all of it came from.

Reads what the other stages wrote, and git's history for the last commit's metrics. Writes report/index.html, a single
file that needs no network. The same input gives the same bytes.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.outputs import whole_file
from stages.report.last_commit import comparison
from stages.report.math_font import math_font
from stages.report.mistakes import doubts_table, gallery
from stages.report.problems import problems
from stages.report.provenance import hashes_table, params_table, versions_table
from stages.report.results import read_results
from stages.report.run_at_hand import (
    data_figure,
    headline,
    images_table,
    measures_table,
    quarantine_table,
    result_figures,
    training_figures,
)

PAGE = Path("report/index.html")


def template_environment() -> Environment:
    """Return Jinja2 with everything escaped that is put into a page, and no name left undefined."""
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )


def main() -> None:
    settings = params_file.load(AllParams)
    results = read_results()
    solved = problems(results)
    formulas = "".join(step.formula.unescape() for problem in solved for step in problem.steps)
    page = (
        template_environment()
        .get_template("page.html.jinja")
        .render(
            headline=headline(results),
            results=results,
            metrics=results.metrics,
            settings=settings,
            problems=solved,
            math_font=math_font(formulas),
            images=images_table(results),
            quarantine=quarantine_table(results),
            data=data_figure(results),
            training=training_figures(results),
            measures=measures_table(results),
            outcome=result_figures(results),
            gallery=gallery(results),
            doubts=doubts_table(results),
            comparison=comparison(results),
            versions=versions_table(),
            hashes=hashes_table(),
            parameters=params_table(settings),
        )
    )
    with whole_file(PAGE) as partial:
        partial.write_text(page + "\n", encoding="utf-8")
    print(f"{PAGE}: {len(page.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run(main)
