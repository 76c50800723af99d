"""The homework's first three problems: their formulas, what verified each, and the figures that go with them."""

from dataclasses import dataclass

from markupsafe import Markup

from stages.report.figures import Figure, figure
from stages.report.mathml import mathml
from stages.report.numbers import shown
from stages.report.results import Results
from stages.report.tables import Table, table


@dataclass(frozen=True)
class Step:
    """A formula, and the number that was found for it."""

    number: str
    formula: Markup
    words: str
    verified: str  # empty for a definition


@dataclass(frozen=True)
class Problem:
    """A problem of the homework, solved."""

    anchor: str
    title: str
    steps: list[Step]
    figures: list[Figure]
    tables: list[Table]
    passed: int  # checks


def problems(results: Results) -> list[Problem]:
    """Return the problems in their order."""
    drawn = {"backprop": backprop_figures, "convolution": network_figures, "weight_decay": weight_decay_figures}
    return [
        Problem(
            anchor=stage.replace("_", "-"),
            title=own["title"],
            steps=[Step(s["number"], mathml(s["latex"]), s["words"], s["verified"]) for s in own["steps"]],
            figures=drawn[stage](results),
            tables=[table(t["title"], t["columns"], t["rows"], most=len(t["rows"])) for t in own["tables"]],
            passed=results.metrics[stage]["checks_passed"],
        )
        for stage, own in results.derivations.items()
    ]


def backprop_figures(results: Results) -> list[Figure]:
    """Return the graph, and what the backward pass costs."""
    ratios = results.cost_ratio
    without = ratios.loc[ratios["backward_pass"].str.startswith("without"), "ratio"]
    return [
        figure(
            "computational_graph",
            "The computational graph, as the stage traced it: forward solid, gradients dashed.",
            "Graph of seven values in a row, X, Z, u, y hat, e, s and L, with W1, W2 and y above; beside each edge "
            "back its local derivative, as in the equations above.",
            wide=True,
        ),
        figure(
            "cost_ratio",
            "What the backward pass costs, over the width of the layers.",
            f"Line chart. With the input's gradient the backward pass costs 2 times the forward pass at every width; "
            f"without it the ratio rises from {without.min():.3f} to {without.max():.3f}.",
        ),
    ]


def network_figures(results: Results) -> list[Figure]:
    """Return the network's layers."""
    layers = results.network_layers
    most, largest = layers.loc[layers["macs"].idxmax()], layers.loc[layers["parameters"].idxmax()]
    macs, parameters = (shown(int(layers[column].sum())) for column in ("macs", "parameters"))
    return [
        figure(
            "network_layers",
            "Multiply-adds and parameters of the network that is trained, layer by layer.",
            f"Two bar charts over {len(layers)} layers. Multiply-adds: {macs} in all, most in {most['layer']} "
            f"({shown(int(most['macs']))}). Parameters: {parameters} in all, most in {largest['layer']} "
            f"({shown(int(largest['parameters']))}).",
            wide=True,
        )
    ]


def weight_decay_figures(results: Results) -> list[Figure]:
    """Return the weight's ways, and where the run stands."""
    measured = results.measures.get(("train", "lr_over_curvature_limit"))
    rate = results.history["learning_rate"].max()
    stands = "No limit is known for this recipe."
    if measured:
        stands = f"It is {measured.value:.3g} times the largest stable step size."
    return [
        figure(
            "weight_decay",
            "A weight on a curved loss, below, at and above the largest stable step size.",
            "Line chart over the steps: below the bound the weight swings to zero, at the bound between 1 and -1 for "
            "ever, above it ever further.",
        ),
        figure(
            "step_size",
            "Where the learning rate of this run stands.",
            f"A logarithmic line with the run's learning rate, at most {rate:.3g}. {stands}",
        ),
    ]
