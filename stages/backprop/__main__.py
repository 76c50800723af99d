"""Problem 1: backpropagation through one hidden layer, with its gradients checked and the cost of both passes.

The hand-written gradients are compared with sympy, autograd, central differences and the complex step. The printed
equations are evaluated for all small shapes. The cost of both passes is counted, for problem 1's network and for
`weights.architecture`. The hand-written passes of ResNet34's layers are compared with torch. Writes
metrics/backprop.json, the curve plots/cost_ratio.csv, and for the figures and the report data/derivations/backprop.json
and the computational graph. Training waits for its certificate.
"""

import json
from pathlib import Path

import torch

from plumbline.checks.claims import Checks, log10_error
from plumbline.checks.derivations import code_of
from plumbline.model.families import crop_in_pixels
from plumbline.params.backprop import Backprop
from plumbline.params.image import Image
from plumbline.params.weights import Weights
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import whole_file, write_csv, write_json
from plumbline.run.paths import TRACED_GRAPH
from stages.backprop import derivation, hidden_layer
from stages.backprop.cost import check_cost, measure_passes, ratio_curve
from stages.backprop.derivation_checks import check_derivation
from stages.backprop.gradient_checks import check_gradients, check_symbolically
from stages.backprop.network_cost import check_network_cost
from stages.backprop.printed_equations import KEYS, check_print
from stages.backprop.resnet_layer_checks import check_layers
from stages.backprop.traced_graph import ComputationalGraph, check_graph
from stages.backprop.worked_example import worked_example

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


class Params(SomeSections):
    seed: Seed
    image: Image
    backprop: Backprop
    weights: Weights


def write_graph(graph: ComputationalGraph) -> None:
    """Write the computational graph as JSON: its nodes and edges."""
    with whole_file(TRACED_GRAPH) as partial:
        partial.write_text(json.dumps(graph.as_dict(), indent=1) + "\n", encoding="utf-8")


def main() -> None:
    withdraw_certificate("backprop")
    settings = params_file.load(Params)
    torch.manual_seed(settings.seed)
    params, weights = settings.backprop, settings.weights
    crop = crop_in_pixels(settings.image.crop, weights.architecture, weights.tag)
    checks = Checks()
    entries = check_symbolically(checks)
    errors = check_gradients(checks, params.trials)
    steps = check_derivation(checks)
    tallies = check_print(checks)
    metrics = check_cost(checks, params.samples, params.inputs, params.hidden, params.outputs)
    curve = ratio_curve(checks)
    graph, example = check_graph(checks), worked_example(checks)
    layers = check_layers(checks)
    network, passes = check_network_cost(checks, weights.architecture, crop)
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
    derived = derivation.derive(metrics, steps, entries, params, settings.weights.architecture)
    derived.code += code_of(hidden_layer.forward, hidden_layer.backward)
    derived.tables += [
        example,
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
    run(main, takes_memory="image.crop")
