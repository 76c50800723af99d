"""Print the measures of folds, and the difference of two recipes, as text or Markdown."""

from typing import Any

from plumbline.run.dotted_keys import written
from plumbline.run.errors import one_line
from tools.compare.printing import FEW, table, verdict

METHOD = (
    "The intervals{test} are Nadeau and Bengio's (2003), for folds that share their training images, and never "
    "narrower than the images alone make them. They are about the recipe, trained on as many images, not about one of "
    "these models."
)


def as_text(result: dict[str, Any], *, markdown: bool) -> str:
    """Return the measures of one recipe, or of two with their difference."""
    grouped = "" if result["clusters"] is None else f" in {result['clusters']} independent groups, copies or images"
    parts = [
        f"{result['folds']} folds, {result['images']} images{grouped}, each judged once by a model of other images"
    ]
    names = ["A", "B"][: len(result["recipes"])]
    if len(names) == 1:
        parts.append(table(measure_rows(result["recipes"][0], result["confidence"]), markdown))
    else:
        parts.append(
            "; ".join(f"{name} is {revisions(recipe)}" for name, recipe in zip(names, result["recipes"], strict=True))
        )
        parts.append(table(difference_rows(result), markdown))
        p = result["differences"]["accuracy"]["p"]
        parts.append(f"Accuracy: p is {p:.3g}: {verdict(p)}, of the training or of the images")
    parts.append(METHOD.format(test=" and the test" if len(names) == 2 else ""))
    few = [recipe for recipe in result["recipes"] if recipe["mistakes"] < FEW]
    if few:
        parts.append(
            f"Few answers are wrong, {few[0]['mistakes']}: the intervals of all but the accuracy may be too narrow."
        )
    if len(names) == 2:
        rows = [{"parameter": key, "A": written(a), "B": written(b)} for key, (a, b) in result["params"].items()]
        parts.append(table(rows, markdown))
    parts.append("The accuracy of a recipe that you choose by these numbers is too high.")
    return "\n\n".join(parts)


def revisions(recipe: dict[str, Any]) -> str:
    return ", ".join(map(one_line, recipe["revisions"]))


def measure_rows(recipe: dict[str, Any], confidence: float) -> list[dict[str, str]]:
    """Return a row a measure: on all images, its interval, and the least and the most of any fold."""
    return [
        {
            "metric": name,
            "all images": f"{metric['value']:.4f}",
            f"{confidence:.0%} interval": f"{metric['low']:.4f} to {metric['high']:.4f}",
            "folds": f"{min(metric['of_folds']):.4f} to {max(metric['of_folds']):.4f}",
        }
        for name, metric in recipe["metrics"].items()
    ]


def difference_rows(result: dict[str, Any]) -> list[dict[str, str]]:
    """Return a row a measure: of both recipes, and the difference with its interval."""
    a, b = (recipe["metrics"] for recipe in result["recipes"])
    return [
        {
            "metric": name,
            "A": f"{a[name]['value']:.4f}",
            "B": f"{b[name]['value']:.4f}",
            "B - A": f"{difference['difference']:+.4f}",
            f"{result['confidence']:.0%} interval": f"{difference['low']:+.4f} to {difference['high']:+.4f}",
        }
        for name, difference in result["differences"].items()
    ]
