"""What makes the result less certain: a learning rate beyond its limit, an epoch chosen by val, few mistakes."""

import sys
from typing import Any

import pandas as pd

from plumbline.checks.stability import lr_over_limit
from plumbline.results.measures_file import Measure
from stages.evaluate.predictions import Predictions

FEW = 10  # mistakes on a split: with fewer the bootstrap's intervals are too narrow, see benchmarks/README.md


def lr_over_curvature_limit(recipe: dict[str, Any], curvature: dict[str, float], images: int) -> Measure | None:
    """Return the learning rate as a share of the limit that the loss's curvature sets to SGD; warn if it is above 1.

    `recipe` is section `finetune` of the parameters that the model carries, `curvature` what the stage measured on
    several draws of images: the share has its least and its largest value over the draws. It warns if all are above 1.
    None for what the curvature says nothing about: Adam and AdamW, which divide by the gradient's size; frozen layers;
    and a loss other than the plain cross-entropy of unchanged images.
    """
    measured = {"optimiser": "sgd", "freeze": None, "class_weights": "none", "label_smoothing": 0, "sampler": "shuffle"}
    unchanged = recipe["augment"]["mixup"] == recipe["augment"]["cutmix"] == 0
    if not unchanged or any(recipe[key] != value for key, value in measured.items()):
        return None
    lr = recipe["lr"]
    share, low, high = (
        lr_over_limit(lr, curvature[f"largest_curvature{end}"], recipe["weight_decay"], recipe["momentum"])
        for end in ("", "_low", "_high")
    )
    if low > 1:
        print(
            f"warning: finetune.lr is {lr:g}, {low:.2g} to {high:.2g} times the largest step size that is stable where "
            "training starts, by the loss's curvature on several draws of images",
            file=sys.stderr,
        )
    return Measure(share, images, low, high)


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
            "those of the accuracy, Wilson's, are not"
        )
