"""What makes the result less certain: a learning rate beyond its limit, an epoch chosen by val, few mistakes."""

import sys
from typing import Any

import pandas as pd

from plumbline.checks.stability import lr_over_limit
from stages.evaluate.predictions import Predictions

FEW = 10  # mistakes on a split: with fewer the bootstrap's intervals are too narrow, see benchmarks/README.md


def lr_over_curvature_limit(recipe: dict[str, Any], curvature: float) -> float | None:
    """Return the learning rate as a share of the limit that the loss's curvature sets to SGD; warn if it is above 1.

    `recipe` is section `finetune` of the parameters that the model carries. None for Adam and AdamW, which divide by
    the gradient's size, and with frozen layers, whose loss is curved less than what was measured over all layers.
    """
    if recipe["optimiser"] != "sgd" or recipe["freeze"] is not None:
        return None
    lr = recipe["lr"]
    share = lr_over_limit(lr, curvature, recipe["weight_decay"], recipe["momentum"])
    if share > 1:
        print(
            f"warning: finetune.lr is {lr:g}, {share:.2g} times the largest step size that is stable where "
            f"training starts, {lr / share:.2g}, for the loss has curvature {curvature:.3g} there",
            file=sys.stderr,
        )
    return share


def accuracy_gain_by_choice(history: pd.DataFrame, keep: str) -> float:
    """Return what the val accuracy may owe to the choice of the epoch by val: for data without a test split.

    It is the kept epoch's val accuracy minus the mean from that epoch on, because the val loss did not improve after
    it and the differences among those epochs are chance; 0 where the last epoch is kept. Prints what it means.
    """
    print("there is no test split: the val accuracy is optimistic, for the recipe may have been chosen by it", end="")
    if keep == "last":
        print("; no epoch was chosen")
        return 0.0
    kept = int(history["val_loss"].idxmin())
    gain = float(history["val_accuracy"][kept] - history["val_accuracy"][kept:].mean())
    print(f"; choosing epoch {kept} of {len(history)} may have gained {100 * gain:.1f} points")
    return gain


def print_few_mistakes(predictions: dict[str, Predictions]) -> None:
    """Name the val and test splits with so few mistakes that bootstrap intervals are too narrow."""
    mistakes = {name: int((own.predicted != own.labels).sum()) for name, own in predictions.items() if name != "train"}
    few = [f"{name} {count}" for name, count in mistakes.items() if count < FEW]
    if few:
        print(
            f"few mistakes ({', '.join(few)}): the bootstrap intervals there are too narrow, "
            "those of the accuracy, Clopper and Pearson's, are not"
        )
