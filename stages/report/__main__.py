"""Write the report: the run at hand (result, data, mistakes, changes, training, provenance), then the homework.

Reads what the other stages wrote, and from git's history the measures of earlier commits. Writes report/index.html, a
single file that needs no network. The same input gives the same bytes.
"""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plumbline.params.all import AllParams
from plumbline.presentation.prediction_sets import prediction_sets
from plumbline.presentation.unknown_images import unknown_images
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.outputs import whole_file
from stages.report.changes_section import changes
from stages.report.data_section import audit_figure, data_sentence, images_table, quarantine_table
from stages.report.fine_tuning_section import differences_from_homework, fine_tuning_answer, lag_of_val
from stages.report.formulas import math_font, typeset
from stages.report.homework_section import curvature_range, problems
from stages.report.mistakes_section import doubts_table, gallery
from stages.report.provenance import hashes_table, params_table, versions_table
from stages.report.result_section import (
    accuracy_figures,
    baselines_sentence,
    final_split,
    headline,
    meanings,
    measures_table,
    mistakes_sentence,
    probability_figures,
    slices_table,
    training_figures,
    training_sentences,
)
from stages.report.stage_results import Results, read_results

PAGE = Path("report/index.html")


def page(results: Results, settings: AllParams) -> str:
    """Return the page as HTML."""
    solved = problems(results, settings)
    formulas = "".join(
        step.formula.unescape() for problem in solved for answer in problem.answers for step in answer.steps
    )
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters["typeset"] = typeset
    return environment.get_template("page.html.jinja").render(
        settings=settings,
        results=results,
        metrics=results.metrics,
        data_set=Path(settings.data.root).name or settings.data.root,
        confidence=f"{100 * settings.evaluate.confidence:g}%",
        headline=headline(results, settings.evaluate.confidence),
        baselines=baselines_sentence(results),
        meanings=meanings(results),
        shortcuts=any(name.startswith("shortcut_") for _, name in results.measures),
        accuracy_figures=accuracy_figures(results),
        measures=measures_table(results),
        slices=slices_table(results),
        unknown=unknown_images(
            results.measures,
            final_split(results),
            settings.evaluate.unknown.keep,
            settings.evaluate.unknown.images,
            settings.weights.source,
        ),
        sets=prediction_sets(results.measures, final_split(results), settings.evaluate.coverage),
        probability_figures=probability_figures(results),
        data_sentence=data_sentence(results),
        audit_figure=audit_figure(results),
        images=images_table(results),
        quarantine=quarantine_table(results),
        mistakes_sentence=mistakes_sentence(results),
        gallery=gallery(results),
        doubts=doubts_table(results),
        changes=changes(results),
        training=training_sentences(results, settings),
        training_figures=training_figures(results, settings),
        versions=versions_table(),
        hashes=hashes_table(),
        parameters=params_table(settings),
        problems=solved,
        fine_tuning=fine_tuning_answer(results),
        lag=lag_of_val(results, settings),
        curvature=curvature_range(results),
        differences=differences_from_homework(results, settings),
        math_font=math_font(formulas),
    )


def main() -> None:
    settings = params_file.load(AllParams)
    results = read_results()
    contents = page(results, settings)
    with whole_file(PAGE) as partial:
        partial.write_text(contents + "\n", encoding="utf-8")
    print(f"{PAGE}: {len(contents.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    run(main)
