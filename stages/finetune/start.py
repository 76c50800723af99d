"""Make what a run starts from: the task, from what other stages wrote, and the network with its optimiser."""

import torch
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.model.networks import replace_head
from plumbline.training.arithmetic import choose_arithmetic, make_repeatable
from plumbline.training.splits import read_splits
from stages.finetune.optimisers import build_optimiser
from stages.finetune.params import Params
from stages.finetune.processes import ALONE, Processes
from stages.finetune.sampling import balanced_weights
from stages.finetune.state import Run
from stages.finetune.synchronised import synchronised
from stages.finetune.task import Task, near_the_network, task_to_overfit


def read_task(settings: Params, architecture: str, processes: Processes = ALONE) -> Task:
    """Read the prepared images, and join them with the recipe."""
    recipe, splits, classes = settings.finetune, read_splits(), len(read_classes())
    arithmetic = choose_arithmetic(recipe.precision)
    train, val = near_the_network([splits["train"], splits["val"]], arithmetic.device)
    weights = None
    if recipe.class_weights == "balanced":
        weights = balanced_weights(train.labels, classes).to(arithmetic.device)
    transform = Transform(**settings.image.model_dump())
    task = Task(train, val, architecture, classes, transform, recipe, arithmetic, weights, processes)
    return task_to_overfit(task, settings.seed) if recipe.overfit_batches else task


def begin_run(task: Task, backbone: Model, seed: int) -> Run:
    """Seed torch, and return the pre-trained network with a new head, before its first update.

    All processes begin with the same weights; what they draw from then on, dropout for one, is each one's own.
    """
    make_repeatable(seed)
    network = task.arithmetic.place(replace_head(backbone.architecture, backbone.tensors, task.classes))
    if task.processes.count > 1:
        network = network if task.recipe.freeze_statistics else synchronised(network)
        if not task.processes.leads:  # the first goes on, and draws the orders that one process alone would draw
            torch.manual_seed(seed + task.processes.rank)
    average = None
    if task.recipe.ema is not None:
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(task.recipe.ema), use_buffers=True)
    return Run(network, build_optimiser(network, task.recipe), average)
