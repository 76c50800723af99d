"""Problem 4: fine-tune the pre-trained network on the prepared images, by the homework's recipe.

Reads data/prepared and models/backbone.safetensors, gives the network a new head with one output a
class, and trains all of it. Starts only if the check stages have passed; goes on from its checkpoint if
the very same run was cut short. Writes models/finetuned.safetensors, plots/history.csv and metrics/finetune.json.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import torch

from plumbline import params
from plumbline.arithmetic import Arithmetic, choose_arithmetic, make_repeatable
from plumbline.checks import require_passed
from plumbline.errors import run
from plumbline.hashes import sha256_of
from plumbline.model_file import Model, Transform, read_model, write_model
from plumbline.networks import replace_head
from plumbline.outputs import write_csv, write_json
from plumbline.prepared import FOLDER, read_classes, read_splits
from plumbline.stability import lr_over_limit
from plumbline.timing import timed
from stages.finetune.checkpoints import Checkpoints, checkpoint_root
from stages.finetune.engine import Task, train
from stages.finetune.fingerprint import fingerprint
from stages.finetune.interruption import Interruption
from stages.finetune.recipe import build_optimiser
from stages.finetune.state import Progress, Run

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


def step_size(recipe: params.Finetune) -> dict[str, float]:
    """Return, as a metric, the learning rate relative to the limit that the loss's curvature sets to SGD.

    Says so where it is beyond. Adam and AdamW divide by the gradient's size, and know no such limit.
    """
    if recipe.optimiser != "sgd":
        return {}
    curvature = json.loads(CURVATURE.read_text(encoding="utf-8"))["largest_curvature"]
    share = lr_over_limit(recipe.lr, curvature, recipe.weight_decay, recipe.momentum)
    if share > 1:
        print(
            f"warning: finetune.lr is {recipe.lr:g}, {share:.2g} times the largest step size that is stable where "
            f"training starts, {recipe.lr / share:.2g}, for the loss has curvature {curvature:.3g} there",
            file=sys.stderr,
        )
    return {"lr_over_curvature_limit": share}


def checkpoints_of(settings: params.Params, arithmetic: Arithmetic) -> Checkpoints:
    """Return where this very run keeps its state. How often it is kept changes nothing in the result."""
    parameters = {
        "seed": settings.seed,
        "image": settings.image.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"checkpoint_steps"}),
    }
    inputs = [BACKBONE, *(path for path in FOLDER.iterdir() if path.suffix in (".npy", ".csv", ".json"))]
    return Checkpoints(checkpoint_root(), fingerprint(parameters, inputs, arithmetic))


def train_to_the_end(run: Run, task: Task, checkpoints: Checkpoints) -> None:
    """Train the run in place, from its checkpoint if there is one; end the process if it is asked to."""
    state = checkpoints.load()
    if state is not None:
        run.restore(state)
        print(f"resuming in epoch {run.progress.epoch}, after {run.progress.position} of its images", file=sys.stderr)
    with Interruption() as interruption:
        finished = train(run, task, lambda: checkpoints.save(run.state()), lambda: interruption.number is not None)
    if not finished:
        print("interrupted; the state is saved: run the stage again, and it goes on from there", file=sys.stderr)
        sys.exit(128 + interruption.number)


def summary(history: pd.DataFrame, arithmetic: Arithmetic) -> dict[str, int | float]:
    """Return the metrics: the last epoch's row, and the precision that was chosen."""
    last = history.iloc[-1]
    finals = {key: float(last[key]) for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy")}
    return {"epochs": len(history)} | finals | {"precision_bits": torch.finfo(arithmetic.precision).bits}


def main() -> None:
    settings = params.load()
    recipe = settings.finetune
    for path in CHECKS:
        require_passed(path)
    share_of_limit = step_size(recipe)
    backbone, classes, splits = read_model(BACKBONE), read_classes(), read_splits()
    arithmetic = choose_arithmetic(recipe.precision)
    make_repeatable(settings.seed)
    network = arithmetic.place(replace_head(backbone.architecture, backbone.tensors, len(classes)))
    transform = Transform(**settings.image.model_dump())
    training = Run(network, build_optimiser(network, recipe), Progress())
    with checkpoints_of(settings, arithmetic) as checkpoints:
        with timed("finetune"):
            train_to_the_end(training, Task(splits, transform, recipe, arithmetic), checkpoints)
        model = Model(
            architecture=backbone.architecture,
            classes=classes,
            transform=transform,
            parameters={"seed": settings.seed, "finetune": recipe.model_dump()},
            source=BACKBONE.as_posix(),
            sha256=sha256_of(BACKBONE),
            tensors=network.state_dict(),
        )
        history = pd.DataFrame(training.progress.history)
        write_model(FINETUNED, model)
        write_csv(HISTORY, history)
        write_json(METRICS, summary(history, arithmetic) | share_of_limit)
        checkpoints.remove()


if __name__ == "__main__":
    run(main)
