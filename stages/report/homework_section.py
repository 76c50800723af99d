"""The homework's problems 1 to 3: their formulas with what verified each, and their figures."""

from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from plumbline.params.all import AllParams
from plumbline.results.training_history import epochs_trained
from stages.report.figures_and_tables import Figure, Table, figure, shown, table
from stages.report.formulas import mathml
from stages.report.live_figures import LIVE_FIGURES, LiveFigure
from stages.report.result_section import has_one_rate
from stages.report.stage_results import Results

BELONGS = {  # the question, counted from 0, that each figure and table answers
    "backprop": {"figures": (0, 1, 2), "tables": (1, 1, 1, 2), "live": 2},
    "convolution": {"figures": (6,), "tables": (6, 6), "live": 5},
    "weight_decay": {"figures": (4, 4), "tables": (4,), "live": 4},
}


@dataclass(frozen=True)
class Step:
    """A formula, its explanation, and how it was verified."""

    number: str
    formula: Markup
    words: str
    verified: str  # empty for a definition


@dataclass(frozen=True)
class Answer:
    """A question of a problem, the steps that answer it, and what belongs to them."""

    question: str
    steps: list[Step] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    live: list[LiveFigure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """A problem of the homework with its solution."""

    anchor: str
    title: str
    answers: list[Answer]
    code: list[dict[str, str]]
    checks_passed: int


def problems(results: Results, settings: AllParams) -> list[Problem]:
    """Return problems 1 to 3."""
    figures = {
        "backprop": backprop_figures(results),
        "convolution": network_figures(results),
        "weight_decay": weight_decay_figures(results, settings),
    }
    return [
        Problem(
            anchor=stage.replace("_", "-"),
            title=derivation["title"],
            answers=answers(stage, derivation, figures[stage]),
            code=derivation["code"],
            checks_passed=results.metrics[stage]["checks_passed"],
        )
        for stage, derivation in results.derivations.items()
    ]


def answers(stage: str, derivation: dict[str, Any], figures: list[Figure]) -> list[Answer]:
    """Return a problem's questions with their answers."""
    answered = []
    for step in derivation["steps"]:
        if step["question"]:
            answered.append(Answer(step["question"]))
        answered[-1].steps.append(Step(step["number"], mathml(step["latex"]), step["words"], step["verified"]))
    belongs = BELONGS[stage]
    for question, drawing in zip(belongs["figures"], figures, strict=True):
        answered[question].figures.append(drawing)
    for question, each in zip(belongs["tables"], derivation["tables"], strict=True):
        answered[question].tables.append(table(each["title"], each["columns"], each["rows"], most=len(each["rows"])))
    answered[belongs["live"]].live.append(LIVE_FIGURES[stage])
    return answered


def backprop_figures(results: Results) -> list[Figure]:
    """Return the figures of the computational graph and of the cost of the backward pass."""
    ratios = results.cost_ratio
    without = ratios.loc[ratios["backward_pass"].str.startswith("without"), "ratio"]
    return [
        figure(
            "computational_graph",
            "The computational graph of (0.1) to (0.4), traced from the code of the forward pass. It names two values "
            "between: e is y_hat - y, and s has the squares of its entries.",
            "Graph of seven values in a row, X, Z, u, y hat, e, s and L, with W1, W2 and y beside it; each edge back "
            "is labelled with the gradient that flows along it, as in the equations above.",
            tall="computational_graph_tall",
        ),
        figure(
            "worked_example",
            "The same graph with the numbers of a worked example, one sample a row: each value in blue, and below it "
            "in orange the derivative of L by it.",
            "The graph with two samples, two inputs, one hidden unit and one output; the table below has its numbers.",
            tall="worked_example_tall",
        ),
        figure(
            "cost_ratio",
            "The cost of the backward pass for each ratio of outputs to inputs, o / d.",
            f"Line chart. With the input's gradient the backward pass costs 2 times the forward pass at every width; "
            f"without it the ratio rises from {without.min():.3f} to {without.max():.3f}.",
        ),
    ]


def network_figures(results: Results) -> list[Figure]:
    """Return the figure of the network's layers."""
    layers = results.network_layers
    most, largest = layers.loc[layers["macs"].idxmax()], layers.loc[layers["parameters"].idxmax()]
    macs, parameters = (shown(int(layers[column].sum())) for column in ("macs", "parameters"))
    return [
        figure(
            "network_layers",
            "Multiply-adds and parameters of each layer of the network as published, with 1,000 outputs.",
            f"Two bar charts over {len(layers)} layers. Multiply-adds: {macs} in all, most in {most['layer']} "
            f"({shown(int(most['macs']))}). Parameters: {parameters} in these layers, most in {largest['layer']} "
            f"({shown(int(largest['parameters']))}).",
            wide=True,
        )
    ]


def weight_decay_figures(results: Results, settings: AllParams) -> list[Figure]:
    """Return the figures of the largest stable step size: on a quadratic, and for the learning rate of this run."""
    measured = results.measures.get(("train", "lr_over_curvature_limit"))
    rate = f"{settings.finetune.lr:.3g}" if has_one_rate(settings.finetune) else f"at most {settings.finetune.lr:.3g}"
    if not epochs_trained(results.history):
        rate = "with which no epoch was trained"
    stable, bound = "The largest stable one is not known.", " The latter is not known for this recipe."
    sign = " The limit of (d) is marked too." if settings.finetune.weight_decay > 0 else ""
    if measured:
        bound = (
            " The largest stable rate follows from the bound above, with this run's momentum and weight decay, and mu "
            f"measured on several draws of images: {curvature_range(results)}. The range of the bound is shaded in "
            "orange."
        )
        stable = f"It is {measured.low:.2g} to {measured.high:.2g} times the largest stable step size."
    return [
        figure(
            "weight_decay",
            "A weight on a quadratic loss, with a step size below, at and above the largest stable one.",
            "Line chart of the weight's absolute value over the steps, on a logarithmic axis: below the bound it falls "
            "along a line, at the bound it stays at 1, above the bound it rises along a line.",
        ),
        figure(
            "step_size",
            f"The learning rate of this run, and the largest stable one.{bound}{sign}",
            f"A logarithmic axis with the learning rate, {rate}. {stable}",
        ),
    ]


def curvature_range(results: Results) -> str:
    """Return the largest curvature of the loss where fine-tuning starts, as measured on several draws of images."""
    curvature = results.metrics["curvature"]
    return " to ".join(shown(curvature[f"largest_curvature_{end}"]) for end in ("low", "high"))
