"""Problem 4: fine-tune the pre-trained network on the prepared images, by the homework's recipe.

Reads data/prepared and models/backbone.safetensors, gives the network a new head with one output a
class, and trains all of it with SGD. Starts only if the check stages have passed. Writes
models/finetuned.safetensors, plots/history.csv and metrics/finetune.json.
"""

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import torch
from torch import nn
from tqdm import tqdm

from plumbline import params
from plumbline.arithmetic import Arithmetic, choose_arithmetic, make_repeatable
from plumbline.batches import batches, to_input
from plumbline.checks import require_passed
from plumbline.errors import UserError, run
from plumbline.hashes import sha256_of
from plumbline.model_file import Model, Transform, read_model, write_model
from plumbline.networks import replace_head
from plumbline.outputs import write_csv, write_json
from plumbline.prepared import Split, read_classes, read_splits
from plumbline.stability import lr_over_limit
from plumbline.timing import timed
from plumbline.training import PhaseResult, optimiser_step, run_phase

CURVATURE = Path("metrics/curvature.json")
CHECKS = (
    Path("metrics/backprop.json"),
    Path("metrics/convolution.json"),
    Path("metrics/weight_decay.json"),
    CURVATURE,
)
BACKBONE = Path("models/backbone.safetensors")
FINETUNED = Path("models/finetuned.safetensors")
HISTORY = Path("plots/history.csv")
METRICS = Path("metrics/finetune.json")

EVALUATION_BATCH = 64  # images; but for rounding the result does not depend on it


def train(
    network: nn.Module, splits: dict[str, Split], transform: Transform, recipe: params.Finetune, arithmetic: Arithmetic
) -> pd.DataFrame:
    """Train the network in place; return the history, one row an epoch.

    Each epoch has the homework's two phases: train, in training mode, whose loss and accuracy are running
    averages while the weights change; then val, in evaluation mode.
    """
    optimiser = torch.optim.SGD(
        network.parameters(), lr=recipe.lr, momentum=recipe.momentum, weight_decay=recipe.weight_decay
    )
    step = optimiser_step(optimiser)
    train_split, val_split = splits["train"], splits["val"]
    history = []
    progress = tqdm(range(recipe.epochs), "fine-tuning", unit="epoch", disable=None)
    for epoch in progress:
        order = torch.randperm(len(train_split.labels))
        inputs = network_inputs(train_split, order, recipe.batch_size, transform, arithmetic)
        trained = run_phase(network, inputs, arithmetic, step=step)
        report(epoch, "train", trained)
        order = torch.arange(len(val_split.labels))
        inputs = network_inputs(val_split, order, EVALUATION_BATCH, transform, arithmetic)
        validated = run_phase(network, inputs, arithmetic)
        report(epoch, "val", validated)
        history.append(history_row(epoch, trained, validated, optimiser.param_groups[0]["lr"]))
    return pd.DataFrame(history)


def network_inputs(
    split: Split, order: torch.Tensor, batch_size: int, transform: Transform, arithmetic: Arithmetic
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield the network's inputs and the labels, batch by batch, on the device."""
    for images, labels in batches(split.images, split.labels, order, batch_size):
        yield to_input(images.to(arithmetic.device), transform), labels.to(arithmetic.device)


def report(epoch: int, phase: str, result: PhaseResult) -> None:
    """Print the homework's line. Raises UserError if the loss is not finite: then training has failed."""
    tqdm.write(f"Epoch:{epoch} -- Phase:{phase} -- Loss:{result.loss:.2f} -- Acc:{100 * result.accuracy:.2f}")
    if not math.isfinite(result.loss):
        raise UserError(f"the {phase} loss of epoch {epoch} is {result.loss}: training diverged; lower finetune.lr")


def history_row(epoch: int, trained: PhaseResult, validated: PhaseResult, lr: float) -> dict[str, int | float]:
    """Return one row of plots/history.csv."""
    return {
        "epoch": epoch,
        "train_loss": trained.loss,
        "train_accuracy": trained.accuracy,
        "val_loss": validated.loss,
        "val_accuracy": validated.accuracy,
        "learning_rate": lr,
    }


def step_size(recipe: params.Finetune) -> float:
    """Return the learning rate relative to the limit that the loss's curvature sets; say so where it is beyond."""
    curvature = json.loads(CURVATURE.read_text(encoding="utf-8"))["largest_curvature"]
    share = lr_over_limit(recipe.lr, curvature, recipe.weight_decay, recipe.momentum)
    if share > 1:
        print(
            f"warning: finetune.lr is {recipe.lr:g}, {share:.2g} times the largest step size that is stable where "
            f"training starts, {recipe.lr / share:.2g}, for the loss has curvature {curvature:.3g} there",
            file=sys.stderr,
        )
    return share


def summary(history: pd.DataFrame, arithmetic: Arithmetic) -> dict[str, int | float]:
    """Return the metrics: the last epoch's row, and the precision that was chosen."""
    last = history.iloc[-1]
    finals = {key: float(last[key]) for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")}
    return {"epochs": len(history)} | finals | {"precision_bits": torch.finfo(arithmetic.precision).bits}


def main() -> None:
    settings = params.load()
    for path in CHECKS:
        require_passed(path)
    share_of_limit = step_size(settings.finetune)
    backbone, classes, splits = read_model(BACKBONE), read_classes(), read_splits()
    arithmetic = choose_arithmetic(settings.finetune.precision)
    make_repeatable(settings.seed)
    network = arithmetic.place(replace_head(backbone.architecture, backbone.tensors, len(classes)))
    transform = Transform(**settings.image.model_dump())
    images = sum(len(splits[name].labels) for name in ("train", "val"))
    with timed("finetune", images * settings.finetune.epochs):
        history = train(network, splits, transform, settings.finetune, arithmetic)
    model = Model(
        architecture=backbone.architecture,
        classes=classes,
        transform=transform,
        parameters={"seed": settings.seed, "finetune": settings.finetune.model_dump()},
        source=BACKBONE.as_posix(),
        sha256=sha256_of(BACKBONE),
        tensors=network.state_dict(),
    )
    write_model(FINETUNED, model)
    write_csv(HISTORY, history)
    write_json(METRICS, summary(history, arithmetic) | {"lr_over_curvature_limit": share_of_limit})


if __name__ == "__main__":
    run(main)
