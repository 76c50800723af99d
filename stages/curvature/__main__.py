"""Measure how sharply the training loss is curved where fine-tuning starts: it bounds the step size.

On a loss of curvature mu, gradient descent with momentum beta and weight decay 2 lambda is stable for step sizes
below 2 (1 + beta) / (mu + 2 lambda), which the weight_decay stage proves. This stage finds the largest mu of the
very loss that finetune begins with: same network, same new head, the first images of its first batch, batch
normalisation in training mode, in float32. Reads data/prepared and models/backbone.safetensors, writes
metrics/curvature.json; evaluate compares the run's learning rate with the bound that follows.
"""

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from plumbline.checks.claims import Checks
from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.model_file import read_model
from plumbline.model.networks import replace_head
from plumbline.params.curvature import Curvature
from plumbline.params.image import Image
from plumbline.run import params_file
from plumbline.run.errors import run
from plumbline.run.fields import Seed, SomeSections
from plumbline.run.outputs import write_json
from plumbline.run.paths import BACKBONE, CURVATURE
from plumbline.run.timing import timed
from plumbline.training.compute import Compute, choose_compute, make_repeatable
from plumbline.training.loss_and_accuracy import forward
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split, read_splits
from stages.curvature.hessian import gradient_and_product
from stages.curvature.lanczos import Extremes, extreme_eigenvalues

ASYMMETRY_LIMIT = 5e-2  # of Hessian products in float32, relative to its norm: ResNet34 gives 5e-3 on the digits


class Params(SomeSections):
    seed: Seed
    image: Image
    curvature: Curvature


def training_loss(
    network: nn.Module, split: Split, own: Curvature, transform: Transform, compute: Compute
) -> torch.Tensor:
    """Return the mean loss over the first batches that fine-tuning draws, cross-entropy in nats."""
    order = torch.randperm(len(split.labels))[: own.images * own.batches]
    network.train()
    losses = []
    for indices in order.split(own.images):
        inputs = to_input(split.images[indices].to(compute.device), transform)
        logits = forward(network, inputs)
        losses.append(nn.functional.cross_entropy(logits, split.labels[indices].to(compute.device)))
    return torch.stack(losses).mean()


def curvature(loss: torch.Tensor, network: nn.Module, steps: int) -> Extremes:
    """Return the extreme curvatures of the loss, beginning with the direction in which it falls fastest."""
    gradient, product = gradient_and_product(loss, [p for p in network.parameters() if p.requires_grad])
    return extreme_eigenvalues(product, gradient, steps)


def main() -> None:
    settings = params_file.load(Params)
    own = settings.curvature
    backbone, classes, splits = read_model(BACKBONE), read_classes(), read_splits()
    compute = choose_compute("float32")
    make_repeatable(settings.seed)
    transform = Transform(**settings.image.model_dump())
    network = replace_head(backbone.architecture, backbone.tensors, len(classes), crop=transform.crop)
    network = compute.place(network)
    checks = Checks()
    # Attention's fast kernels have no second derivative.
    with timed("curvature"), sdpa_kernel(SDPBackend.MATH):
        loss = training_loss(network, splits["train"], own, transform, compute)
        found = curvature(loss, network, own.steps)
    checks.expect_error(found.asymmetry, ASYMMETRY_LIMIT, "products with the Hessian are those of a symmetric matrix")
    checks.expect(
        found.residual <= abs(found.largest),
        "the largest curvature is known to less than its size",
        f"{found.largest:.4g} +- {found.residual:.2g}",
    )
    checks.end()
    metrics = {
        "largest_curvature": found.largest,
        "largest_curvature_residual": found.residual,
        "smallest_curvature": found.smallest,
        "loss": loss.item(),
    }
    write_json(CURVATURE, metrics | checks.counts())


if __name__ == "__main__":
    run(main)
