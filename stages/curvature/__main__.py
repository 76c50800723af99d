"""Measure how sharply the loss is curved where fine-tuning starts: it bounds the step size.

On a loss of curvature mu, gradient descent with momentum beta and weight decay 2 lambda is stable for step sizes
below 2 (1 + beta) / (mu + 2 lambda), which the weight_decay stage proves. This stage finds the largest mu of the
cross-entropy, on several draws of training images: mu depends on the images, and its spread over the draws says how
much. The network, its new head and batch normalisation in training mode are those that finetune begins with; class
weights, label smoothing and augmentation are left out. Reads data/prepared and models/backbone.safetensors, writes
metrics/curvature.json; evaluate compares the learning rate with the bound that follows.
"""

import copy
import statistics
from dataclasses import asdict

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from plumbline.checks.claims import Checks
from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.head import replace_head
from plumbline.model.model_file import read_model
from plumbline.params.curvature import Curvature
from plumbline.params.image import Image
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import Determinism, Seed, SomeSections
from plumbline.run.outputs import write_json
from plumbline.run.paths import BACKBONE, CURVATURE
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import (
    Compute,
    choose_compute,
    make_repeatable,
    nondeterministic_operations,
)
from plumbline.training.loss_and_accuracy import forward
from plumbline.training.model_fits_data import refuse_other_resizing
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split, read_splits
from stages.curvature.hessian import gradient_and_product
from stages.curvature.lanczos import Extremes, extreme_eigenvalues, is_known

MORE_STEPS = 8
ASYMMETRY_LIMIT = 5e-2  # of Hessian products in float32, relative to its norm: ResNet34 gives 5e-3 on the digits


class Params(SomeSections):
    seed: Seed
    image: Image
    curvature: Curvature
    finetune: Determinism


def loss_of(
    network: nn.Module, split: Split, indices: torch.Tensor, transform: Transform, compute: Compute
) -> torch.Tensor:
    """Return the mean cross-entropy, in nats, of the images with these indices, in one batch."""
    network.train()
    logits = forward(network, to_input(split.images[indices].to(compute.device), transform))
    return nn.functional.cross_entropy(logits, split.labels[indices].to(compute.device))


def curvature(loss: torch.Tensor, network: nn.Module, steps: int) -> Extremes:
    """Return the extreme curvatures of the loss, beginning with the direction in which it falls fastest.

    Takes more steps, up to MORE_STEPS times as many, where the largest one is not known to its size: a network that is
    well trained has curvatures of either sign.
    """
    gradient, product = gradient_and_product(loss, [p for p in network.parameters() if p.requires_grad])
    return extreme_eigenvalues(product, gradient, steps, MORE_STEPS * steps)


def main() -> None:
    settings = params_file.load(Params)
    curvature_settings = settings.curvature
    backbone, classes, splits = read_model(BACKBONE), read_classes(), read_splits()
    compute = choose_compute("float32")
    make_repeatable(settings.seed, deterministic=settings.finetune.deterministic)
    transform = Transform(**settings.image.filled_in(asdict(backbone.transform)).model_dump())
    refuse_other_resizing(transform, "params.yaml says")
    network = replace_head(backbone.architecture, backbone.tensors, len(classes), crop=transform.crop)
    network = compute.place(network)
    start = copy.deepcopy(network.state_dict())  # a forward pass changes batch normalisation's running statistics
    extremes, losses = [], []
    # Attention's fast kernels have no second derivative.
    with timed("curvature"), sdpa_kernel(SDPBackend.MATH), nondeterministic_operations([]):
        for _ in range(curvature_settings.draws):
            indices = torch.randperm(len(splits["train"].labels))[: curvature_settings.images]
            network.load_state_dict(start)
            loss = loss_of(network, splits["train"], indices, transform, compute)
            extremes.append(curvature(loss, network, curvature_settings.steps))
            losses.append(loss.item())
    checks = Checks()
    asymmetry = max(each.asymmetry for each in extremes)
    checks.expect_error(asymmetry, ASYMMETRY_LIMIT, "products with the Hessian are those of a symmetric matrix")
    checks.expect(
        all(map(is_known, extremes)),
        "the largest curvature of each draw is known to less than its size",
        ", ".join(f"{each.largest:.4g} +- {each.residual:.2g}" for each in extremes),
    )
    checks.end()
    largest = [each.largest for each in extremes]
    metrics = {
        "largest_curvature": statistics.median(largest),
        "largest_curvature_low": min(largest),
        "largest_curvature_high": max(largest),
        "largest_residual": max(each.residual for each in extremes),
        "smallest_curvature": min(each.smallest for each in extremes),
        "loss": statistics.fmean(losses),
    }
    write_json(CURVATURE, metrics | checks.counts())


if __name__ == "__main__":
    run(main, takes_memory="curvature.images or image.crop")
