"""Problem 4: fine-tune the pre-trained network on the prepared images, by the homework's recipe or another.

Reads data/prepared and models/backbone.safetensors, gives the network a new head with one output a
class, and trains it. Starts only with the certificates of the check stages; goes on from its checkpoint if
the very same run was cut short. Writes models/finetuned.safetensors, plots/history.csv and metrics/finetune.json.
"""

import statistics
import sys
from collections.abc import Iterable
from contextlib import ExitStack, nullcontext
from pathlib import Path

import pandas as pd
import torch

from plumbline.data.prepared import read_classes
from plumbline.model.model_file import Model, read_model, write_model
from plumbline.params.finetune import Finetune
from plumbline.run import params_file
from plumbline.run.certificates import require_certificate
from plumbline.run.errors import run as run_stage
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import write_csv, write_json
from plumbline.run.paths import BACKBONE, FINETUNED, HISTORY, PREPARED
from plumbline.run.timing import timed
from plumbline.training.device_and_precision import Compute, nondeterministic_operations
from stages.finetune.checkpoint_files import Checkpoints, checkpoint_root, fingerprint, remove_old_checkpoints
from stages.finetune.distributed import Distributed, joined, started_by_torchrun
from stages.finetune.divergence import Diverged
from stages.finetune.finished_model import finished
from stages.finetune.interruption import Interrupted, Interruption
from stages.finetune.launched_processes import launch
from stages.finetune.run_state import History, Progress, Run, Tensors
from stages.finetune.training_loop import BEFORE, epochs_done, kept_row, train
from stages.finetune.training_setup import (
    Params,
    Setup,
    begin_run,
    read_setup,
    with_probe_head,
    with_weights_transform,
)

CHECKS = ("backprop", "convolution", "weight_decay")
METRICS = Path("metrics/finetune.json")
TAKES_MEMORY = (
    "finetune.batch_size (and raise finetune.accumulate by the same factor), image.crop, or, with frozen layers, "
    "finetune.cache_gib"
)
MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def fingerprints_of(settings: Params, setup: Setup, seeds: Iterable[int]) -> list[str]:
    """Return the fingerprint of each seed's run. `checkpoint_steps` and `seeds` are not part of it."""
    parameters = {
        "first_seed": settings.seed,  # it selects the images to overfit
        "image": settings.image.model_dump(),
        "finetune": settings.finetune.model_dump(exclude={"checkpoint_steps", "processes", "seeds"}),
    }
    inputs = [BACKBONE, *(path for path in PREPARED.iterdir() if path.suffix in (".npy", ".csv", ".json"))]
    contents = {path.as_posix(): sha256_of(path) for path in sorted(inputs)}
    world_size = setup.distributed.world_size
    return [fingerprint(parameters | {"seed": seed}, contents, setup.compute, world_size) for seed in seeds]


def train_to_the_end(run: Run, setup: Setup, checkpoint: Checkpoints) -> int:
    """Train the run in place, from its checkpoint if there is one, and return how many images it took.

    Ends the process, with the state saved, if it is asked to. The main process keeps the state of all.
    """
    distributed = setup.distributed
    state = distributed.broadcast(checkpoint.load() if distributed.is_main else None)
    if state is not None:
        run.restore(state, distributed)
        print(f"resuming in epoch {run.progress.epoch}, after {run.progress.position} of its images", file=sys.stderr)
    before = run.progress.images_seen(len(setup.train.labels))

    def save() -> None:
        state = run.state(distributed)
        if distributed.is_main:
            checkpoint.save(state)
        distributed.wait_for_main()  # the disk may be slow

    try:
        with (
            Interruption(distributed, setup.compute.device) as interruption,
            nondeterministic_operations(run.progress.nondeterministic),
        ):
            train(run, setup, save, interruption)
    except Interrupted as interrupted:
        save()
        print("interrupted; the state is saved: run the stage again, and it goes on from there", file=sys.stderr)
        sys.exit(interrupted.exit_status)
    except Diverged as diverged:
        saved = f"; the state that was saved last, whose weights may have diverged too, is {checkpoint.path}"
        raise Diverged(f"{diverged}{saved if checkpoint.path.exists() else ''}") from None
    return run.progress.images_seen(len(setup.train.labels)) - before


def train_seeds(
    settings: Params, setup: Setup, backbone: Model, checkpoints: list[Checkpoints]
) -> tuple[Tensors, list[Progress], Setup]:
    """Train one run a seed, and return the first one's weights, where each of them ended, and the setup of all."""
    tensors, ended = {}, []
    timing = timed("finetune", images=0) if setup.distributed.is_main else nullcontext({"images": 0})
    with timing as measured:
        setup = with_probe_head(setup, backbone)
        for seed, checkpoint in enumerate(checkpoints, settings.seed):
            if len(checkpoints) > 1:
                print(f"seed {seed}")
            run = begin_run(setup, backbone, seed)
            measured["images"] += train_to_the_end(run, setup, checkpoint)
            tensors = tensors or run.kept_tensors()
            ended.append(run.progress)
        if setup.compute.device.type == "cuda":
            measured["peak_gpu_memory_mib"] = torch.cuda.max_memory_allocated() // 2**20
    return tensors, ended, setup


def summary(ended: list[Progress], recipe: Finetune, compute: Compute) -> dict[str, int | float]:
    """Return the metrics: the kept epoch of the first run, the spread over all runs, and how the network computed."""
    histories = [progress.history for progress in ended]
    kept = kept_row(histories[0], recipe)
    first = {"epochs": epochs_done(histories[0]), "kept_epoch": kept["epoch"]} | {key: kept[key] for key in MEASURED}
    precision = torch.float32 if kept["epoch"] == BEFORE else compute.precision  # the probe's features have float32
    computed = {
        "precision_bits": torch.finfo(precision).bits,
        "nondeterministic_operations": len(set().union(*(progress.nondeterministic for progress in ended))),
    }
    return first | computed | (spread(histories, recipe) if len(histories) > 1 else {})


def spread(histories: list[History], recipe: Finetune) -> dict[str, int | float]:
    """Return the mean and the sample standard deviation of every measure over the seeds."""
    measures: dict[str, int | float] = {"seeds": len(histories)}
    for key in MEASURED:
        values = [kept_row(history, recipe)[key] for history in histories]
        measures[f"{key}_mean"] = statistics.fmean(values)
        measures[f"{key}_deviation"] = statistics.stdev(values)
    return measures


def finetune(settings: Params, distributed: Distributed) -> None:
    """Train, and let the main process write the results."""
    backbone = read_model(BACKBONE)
    settings = with_weights_transform(settings, backbone)
    setup = read_setup(settings, backbone.architecture, distributed)
    seeds = range(settings.seed, settings.seed + settings.finetune.seeds)
    with ExitStack() as locks:
        fingerprints = distributed.broadcast(fingerprints_of(settings, setup, seeds) if distributed.is_main else None)
        checkpoints = [Checkpoints(checkpoint_root(), each) for each in fingerprints]
        if distributed.is_main:
            remove_old_checkpoints(checkpoint_root())
            for checkpoint in checkpoints:
                locks.enter_context(checkpoint)
        tensors, ended, setup = train_seeds(settings, setup, backbone, checkpoints)
        if not distributed.is_main:
            return
        model = Model(
            architecture=backbone.architecture,
            classes=read_classes(),
            transform=setup.transform,
            parameters={"seed": settings.seed, "finetune": settings.finetune.model_dump()},
            source=BACKBONE.as_posix(),
            sha256=sha256_of(BACKBONE),
            tensors=tensors,
        )
        metrics = summary(ended, setup.recipe, setup.compute)
        probe_head = setup.probe_head if metrics["kept_epoch"] == BEFORE else None
        write_model(FINETUNED, finished(model, setup.train, setup.val, probe_head))
        write_csv(HISTORY, pd.DataFrame(ended[0].history))
        write_json(METRICS, metrics)
        for checkpoint in checkpoints:
            checkpoint.remove()


def main() -> None:
    settings = params_file.load(Params)
    for stage in CHECKS:
        require_certificate(stage)
    if settings.finetune.processes > 1 and not started_by_torchrun():
        launch(settings.finetune.processes)
        return
    with joined() as distributed:
        finetune(settings, distributed)


if __name__ == "__main__":
    run_stage(main, takes_memory=TAKES_MEMORY)
