"""Problem 2: the shapes and the cost of a convolutional layer, and of `weights.architecture`.

The four answers follow from the formula and are compared with torch, as are layers of random stride, padding,
dilation and groups. The same formulas then count the cost of the network at `image.crop` pixels, layer by layer. Writes
metrics/convolution.json, the table plots/network_layers.csv, and for the report data/derivations/convolution.json.
Training waits for its certificate.
"""

from pathlib import Path

import torch

from plumbline.checks.claims import Checks
from plumbline.checks.derivations import code_of
from plumbline.model.families import crop_in_pixels
from plumbline.model.networks import shape_of_network
from plumbline.params.convolution import Convolution
from plumbline.params.image import Image
from plumbline.params.weights import Weights
from plumbline.run import params_file
from plumbline.run.certificates import withdraw_certificate, write_certificate
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_csv, write_json
from stages.convolution import derivation, layer_by_formula
from stages.convolution.counting_conventions import counts_of
from stages.convolution.layer_against_torch import check_homework, check_random_layers
from stages.convolution.network_parameters import check_parameters
from stages.convolution.network_table import IMAGENET_CLASSES, check_network

METRICS = Path("metrics/convolution.json")
LAYERS = Path("plots/network_layers.csv")
DERIVATION = Path("data/derivations/convolution.json")


class Params(SomeSections):
    seed: Seed
    image: Image
    convolution: Convolution
    weights: Weights


def main() -> None:
    withdraw_certificate("convolution")
    settings = params_file.load(Params)
    torch.manual_seed(settings.seed)
    architecture = settings.weights.architecture
    crop = crop_in_pixels(settings.image.crop, architecture, settings.weights.tag)
    checks = Checks()
    metrics = check_homework(checks, settings.convolution)
    check_random_layers(checks)
    network, table = check_network(checks, architecture, crop)
    parameters = check_parameters(checks, architecture, crop)
    checks.end()
    metrics |= network
    conventions = counts_of(shape_of_network(architecture, IMAGENET_CLASSES), crop, metrics["network_macs"])
    derived = derivation.derive(settings.convolution, metrics, parameters, architecture, crop)
    derived.code += code_of(
        layer_by_formula.output_size, layer_by_formula.macs, layer_by_formula.parameters, layer_by_formula.convolve
    )
    derived.tables += [
        derivation.network_table(table),
        derivation.conventions_table(conventions.by_convention()),
    ]
    derived.write(DERIVATION)
    write_csv(LAYERS, table)
    write_json(METRICS, metrics | checks.counts())
    write_certificate("convolution", checks.held)


if __name__ == "__main__":
    run(main, takes_memory="image.crop")
