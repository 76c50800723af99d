"""Problem 1: backpropagation through one hidden layer, proved and priced.

The hand-written gradients are compared with sympy, autograd, central differences and the complex step; the
printed equations are examined; both passes are priced, of problem 1's network and of the one that is trained;
and so are the hand-written passes of what ResNet34 is made of. Writes metrics/backprop.json, the curve
plots/cost_ratio.csv, and for the figures and the report data/derivations/backprop.json with the graph. Its
certificate is what training waits for.
"""

import json
from pathlib import Path

import torch

from plumbline.checks.claims import Checks, log10_error
from plumbline.params.backprop import Backprop
from plumbline.params.image import Image
from plumbline.params.weights import Weights
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import whole_file, write_csv, write_json
from stages.backprop import derivation
from stages.backprop.cost import check_cost, ratio_curve
from stages.backprop.graph import ComputationalGraph, check_graph
from stages.backprop.layer_checks import check_layers
from stages.backprop.measured import measure_passes
from stages.backprop.network_cost import check_network_cost
from stages.backprop.numeric import check_gradients
from stages.backprop.printed import KEYS, check_print
from stages.backprop.symbolic import check_symbolically

METRICS = Path("metrics/backprop.json")
# What `dvc metrics` shows; the counts behind them stand in the derivation.
HEADLINE = (
    "backward_over_forward",
    "backward_over_forward_with_input_gradient",
    "network_backward_over_forward",
    "log10_max_relative_error",
    "log10_max_complex_step_error",
    "log10_max_layer_error",
)
COST_RATIO = Path("plots/cost_ratio.csv")
DERIVATION = Path("data/derivations/backprop.json")
GRAPH = Path("data/derivations/computational_graph.json")


class Params(SomeSections):
    seed: Seed
    image: Image
    backprop: Backprop
    weights: Weights


def write_graph(graph: ComputationalGraph) -> None:
    """Write the computational graph as JSON: its nodes and edges."""
    with whole_file(GRAPH) as partial:
        partial.write_text(json.dumps(graph.as_dict(), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    withdraw_certificate("backprop")
    settings = params_file.load(Params)
    torch.manual_seed(settings.seed)
    own = settings.backprop
    checks = Checks()
    entries = check_symbolically(checks)
    errors = check_gradients(checks, own.trials)
    tallies = check_print(checks)
    metrics = check_cost(checks, own.samples, own.inputs, own.hidden, own.outputs)
    curve = ratio_curve(checks)
    graph = check_graph(checks)
    layers = check_layers(checks)
    network, passes = check_network_cost(checks, settings.weights.architecture, settings.image.crop)
    checks.end()
    metrics |= network
    for number, tally in tallies.items():
        metrics |= {f"equation_{number.replace('.', '')}_{KEYS[kind]}": count for kind, count in tally.items()}
    metrics |= {
        "equation_shapes": sum(tallies["0.5"].values()),
        "log10_max_relative_error": log10_error(errors["autograd"]),
        "log10_max_complex_step_error": log10_error(errors["complex_step"]),
        "log10_max_layer_error": log10_error(max(layers.values())),
    }
    derived = derivation.derive(metrics, entries, own.trials)
    derived.tables += [
        derivation.printed_table(tallies),
        derivation.layer_table(layers),
        derivation.network_table(passes),
    ]
    derived.write(DERIVATION)
    write_graph(graph)
    write_csv(COST_RATIO, curve)
    measure_passes()
    write_json(METRICS, {key: metrics[key] for key in HEADLINE} | checks.counts())
    write_certificate("backprop", checks.held)


if __name__ == "__main__":
    run(main)
