"""Problem 4: fine-tune the pre-trained network on the prepared images, by the homework's recipe or another.

Reads data/prepared and models/backbone.safetensors, gives the network a new head with one output a
class, and trains it. Starts only with the certificates of the check stages; goes on from its checkpoint if
the very same run was cut short. Writes models/finetuned.safetensors, plots/history.csv and metrics/finetune.json.
"""

import sys
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch

from plumbline.data.prepared import FOLDER, read_classes
from plumbline.model.model_file import Model, read_model, write_model
from plumbline.run import params_file
from plumbline.run.certificates import require_certificate
from plumbline.run.errors import run as run_stage
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.timing import timed
from plumbline.training.arithmetic import choose_arithmetic
from plumbline.training.inference import logits_of
from stages.finetune.checkpoints import Checkpoints, checkpoint_root, remove_old_checkpoints
from stages.finetune.divergence import Diverged
from stages.finetune.engine import train
from stages.finetune.fingerprint import fingerprint
from stages.finetune.interruption import Interrupted, Interruption
from stages.finetune.metrics import summary
from stages.finetune.params import Params
from stages.finetune.processes import Processes, joined, started_by_torchrun
from stages.finetune.selection import History
from stages.finetune.start import begin_run, read_task
from stages.finetune.state import Run, Tensors
from stages.finetune.task import Task
from stages.finetune.temperature import fit_temperature

CHECKS = ("backprop", "convolution", "weight_decay")
BACKBONE = Path("models/backbone.safetensors")
FINETUNED = Path("models/finetuned.safetensors")
HISTORY = Path("plots/history.csv")
METRICS = Path("metrics/finetune.json")


def checkpoints_of(settings: Params, task: Task, seed: int) -> Checkpoints:
    """Return where this very run keeps its state. How often it is kept, and how many runs there are, is not in it."""
    parameters = {
        "seed": seed,
        "first_seed": settings.seed,  # it chooses the images to overfit
        "image": settings.image.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"checkpoint_steps", "processes", "seeds"}),
    }
    inputs = [BACKBONE, *(path for path in FOLDER.iterdir() if path.suffix in (".npy", ".csv", ".json"))]
    return Checkpoints(checkpoint_root(), fingerprint(parameters, inputs, task.arithmetic, task.processes.count))


def train_to_the_end(run: Run, task: Task, checkpoints: Checkpoints) -> int:
    """Train the run in place, from its checkpoint if there is one, and return how many images it took.

    Ends the process, with the state saved, if it is asked to. Of several processes the first keeps the state of all.
    """
    processes = task.processes
    state = processes.agreed(checkpoints.load() if processes.leads else None)
    if state is not None:
        run.restore(state, processes)
        print(f"resuming in epoch {run.progress.epoch}, after {run.progress.position} of its images", file=sys.stderr)
    before = run.progress.images_seen(len(task.train.labels))

    def save() -> None:
        state = run.state(processes)
        if processes.leads:
            checkpoints.save(state)

    try:
        with Interruption(processes, task.arithmetic.device) as interruption:
            train(run, task, save, interruption)
    except Interrupted as interrupted:
        save()
        print("interrupted; the state is saved: run the stage again, and it goes on from there", file=sys.stderr)
        sys.exit(interrupted.exit_status)
    except Diverged as diverged:
        kept = f"; the last good state is {checkpoints.path}" if checkpoints.path.exists() else ""
        raise Diverged(f"{diverged}{kept}") from None
    return run.progress.images_seen(len(task.train.labels)) - before


def train_seeds(
    settings: Params, task: Task, backbone: Model, checkpoints: list[Checkpoints]
) -> tuple[Tensors, list[History]]:
    """Train one run a seed, and return the first one's weights and the history of each."""
    tensors, histories = {}, []
    timing = timed("finetune", images=0) if task.processes.leads else nullcontext({"images": 0})
    with timing as measured:
        for seed, own in enumerate(checkpoints, settings.seed):
            if len(checkpoints) > 1:
                print(f"seed {seed}")
            run = begin_run(task, backbone, seed)
            measured["images"] += train_to_the_end(run, task, own)
            tensors = tensors or run.kept_tensors()
            histories.append(run.progress.history)
        if task.arithmetic.device.type == "cuda":
            measured["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return tensors, histories


def calibrated(model: Model, task: Task) -> Model:
    """Return the model with the temperature that val gives it, in float32 as the model is evaluated."""
    arithmetic = choose_arithmetic("float32")
    network = arithmetic.place(model.network())
    temperature = fit_temperature(
        logits_of(network, task.val.images, task.transform, arithmetic), task.val.labels.cpu()
    )
    return replace(model, temperature=temperature)


def finetune(settings: Params, processes: Processes) -> None:
    """Train, and let the first process write what comes of it."""
    backbone = read_model(BACKBONE)
    task = read_task(settings, backbone.architecture, processes)
    seeds = range(settings.seed, settings.seed + settings.finetune.seeds)
    with ExitStack() as locks:
        checkpoints = [checkpoints_of(settings, task, seed) for seed in seeds]
        if processes.leads:
            remove_old_checkpoints(checkpoint_root())
            for own in checkpoints:
                locks.enter_context(own)
        tensors, histories = train_seeds(settings, task, backbone, checkpoints)
        if not processes.leads:
            return
        model = Model(
            architecture=backbone.architecture,
            classes=read_classes(),
            transform=task.transform,
            parameters={"seed": settings.seed, "finetune": settings.finetune.model_dump()},
            source=BACKBONE.as_posix(),
            sha256=sha256_of(BACKBONE),
            tensors=tensors,
        )
        write_model(FINETUNED, calibrated(model, task))
        write_csv(HISTORY, pd.DataFrame(histories[0]))
        write_json(METRICS, summary(histories, task.recipe, task.arithmetic))
        for own in checkpoints:
            own.remove()


def main() -> None:
    settings = params_file.load(Params)
    for stage in CHECKS:
        require_certificate(stage)
    if settings.finetune.processes > 1 and not started_by_torchrun():
        from stages.finetune.launch import launch  # torchrun takes its time to import

        launch(settings.finetune.processes)
        return
    with joined() as processes:
        finetune(settings, processes)


if __name__ == "__main__":
    run_stage(main)
