"""Say in numbers how a training went: the kept epoch's losses and accuracies, and how bold the learning rate was."""

import json
import statistics
import sys
from pathlib import Path

import torch

from plumbline.checks.stability import lr_over_limit
from plumbline.params.finetune import Finetune
from plumbline.training.arithmetic import Arithmetic
from stages.finetune.selection import History, kept_epoch

MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


def lr_metrics(recipe: Finetune, curvature_path: Path) -> dict[str, float]:
    """Return, as a metric, the learning rate relative to the limit that the loss's curvature sets to SGD.

    Says so where it is beyond. Adam and AdamW divide by the gradient's size, and know no such limit; with frozen
    layers the loss is curved less than was measured over all.
    """
    if recipe.optimiser != "sgd" or recipe.freeze is not None:
        return {}
    curvature = json.loads(curvature_path.read_text(encoding="utf-8"))["largest_curvature"]
    share = lr_over_limit(recipe.lr, curvature, recipe.weight_decay, recipe.momentum)
    if share > 1:
        print(
            f"warning: finetune.lr is {recipe.lr:g}, {share:.2g} times the largest step size that is stable where "
            f"training starts, {recipe.lr / share:.2g}, for the loss has curvature {curvature:.3g} there",
            file=sys.stderr,
        )
    return {"lr_over_curvature_limit": share}


def summary(histories: list[History], recipe: Finetune, arithmetic: Arithmetic) -> dict[str, int | float]:
    """Return the metrics: the kept epoch of the first run, the spread over all runs, and the precision chosen."""
    kept = kept_epoch(histories[0], recipe)
    first = {"epochs": len(histories[0]), "kept_epoch": kept} | {key: histories[0][kept][key] for key in MEASURED}
    precision = {"precision_bits": torch.finfo(arithmetic.precision).bits}
    return first | precision | (spread(histories, recipe) if len(histories) > 1 else {})


def spread(histories: list[History], recipe: Finetune) -> dict[str, int | float]:
    """Return the mean and the sample standard deviation of every measure over the seeds."""
    found: dict[str, int | float] = {"seeds": len(histories)}
    for key in MEASURED:
        values = [history[kept_epoch(history, recipe)][key] for history in histories]
        found[f"{key}_mean"] = statistics.fmean(values)
        found[f"{key}_deviation"] = statistics.stdev(values)
    return found
