"""Say in numbers how a training went: the kept epoch's losses and accuracies."""

import statistics

import torch

from plumbline.params.finetune import Finetune
from plumbline.training.arithmetic import Arithmetic
from stages.finetune.selection import History, kept_epoch

MEASURED = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


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
