"""What makes the result less certain: a learning rate beyond its limit, an epoch chosen by val, few mistakes."""

import math
import sys
from typing import Any

import numpy as np
import pandas as pd

from plumbline.checks.stability import lr_over_limit
from plumbline.results.measures_file import Measure
from plumbline.results.training_history import epochs_trained
from plumbline.run.errors import one_line
from stages.evaluate.predictions import Predictions
from stages.evaluate.ranking import ranking_scores

FEW = 10  # mistakes on a split: with fewer the bootstrap's intervals are too narrow, see docs/statistics.md
NAMED = 3  # classes in a line
NEIGHBOURS = 2  # epochs on each side of the kept one


def lr_over_curvature_limit(recipe: dict[str, Any], curvature: dict[str, float], images: int) -> Measure | None:
    """Return the learning rate as a share of the limit that the loss's curvature sets to SGD; warn if it is above 1.

    `recipe` is section `finetune` of the parameters that the model carries, `curvature` what the stage measured on
    several draws of images: the share has its least and its largest value over the draws. It warns if all are above 1.
    None for what the curvature says nothing about: Adam and AdamW, which divide by the gradient's size; clipped
    gradients; frozen layers or statistics; layers with rates of their own; a head that is not random, as the measured
    one; and a loss other than the plain cross-entropy of unchanged images. Nor where the first updates, at which the
    curvature was measured, have a lower rate: with a warm-up and with one_cycle.
    """
    measured = {
        "head": "random",
        "optimiser": "sgd",
        "freeze": None,
        "freeze_statistics": False,
        "first_layer_lr": 1,
        "class_weights": "none",
        "label_smoothing": 0,
        "sampler": "shuffle",
        "warmup_epochs": 0,
        "clip_norm": None,
    }
    unchanged = recipe["augment"]["mixup"] == recipe["augment"]["cutmix"] == 0
    rises = recipe["schedule"] == "one_cycle"
    if rises or not unchanged or any(recipe[key] != value for key, value in measured.items()):
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


def accuracy_gain_by_choice(history: pd.DataFrame, keep: str, patience: int | None) -> float:
    """Return what the val accuracy may owe to the choice of the epoch by val: for data without a test split.

    It is the kept epoch's val accuracy minus the mean of it and the two epochs on each side, at least 0: neighbours
    differ by chance more than by what is learned or overfitted between them. 0 where the last epoch is kept, though
    `patience` may have chosen which is the last. Prints what it means.
    """
    print("there is no test split: the val accuracy is optimistic, for the recipe may have been chosen by it", end="")
    if keep == "last":
        print("; patience ended the training by it" if patience is not None else "; no epoch was chosen")
        return 0.0
    kept = int(history["val_loss"].idxmin())
    near = history["val_accuracy"][max(kept - NEIGHBOURS, 0) : kept + NEIGHBOURS + 1]
    gain = max(float(history["val_accuracy"][kept] - near.mean()), 0.0)
    of = f"epoch {history['epoch'][kept]} of {epochs_trained(history)}"
    print(f"; choosing {of} may have gained {100 * gain:.1f} points")
    return gain


def print_few_mistakes(predictions: dict[str, Predictions], positive: int, classes: list[str]) -> None:
    """Name the val and test splits with so few mistakes that bootstrap intervals are too narrow, by what they rest on.

    A mean over images rests on all mistakes, a mean over classes on those of its small classes, and a measure of the
    ranking on the images that stand on the wrong side of one of another class.
    """
    predictions = {name: of_split for name, of_split in predictions.items() if name != "train"}
    mistakes = {name: int((of_split.predicted != of_split.labels).sum()) for name, of_split in predictions.items()}
    few = [f"{name} {count}" for name, count in mistakes.items() if count < FEW]
    if few:
        print(
            f"few mistakes ({', '.join(few)}): the bootstrap intervals there are too narrow, "
            "those of the accuracy, Clopper and Pearson's, are not"
        )
    for name, of_split in predictions.items():
        if mistakes[name] < FEW:
            continue
        if mistakes_behind_class_means(of_split) < FEW:
            print(
                f"few mistakes in some classes ({name}: {rarest_mistakes(of_split, classes)}): the intervals of the "
                "balanced accuracy and of macro F1 there are too narrow"
            )
        if images_misranked(of_split, positive) < FEW:
            print(
                f"few images in the wrong order ({name}): the intervals of AUROC and average precision are too narrow"
            )


def print_recall_of_new_images(minimum_recall: float) -> None:
    """Say that a threshold with this recall on val has less on new images about every second time."""
    print(
        f"the threshold has a recall of at least {minimum_recall:g} on val; on new images the recall is below that "
        "about every second time: ask for more, or give more val images"
    )


def mistakes_behind_class_means(predictions: Predictions) -> float:
    """Return the number of mistakes on which a mean over classes rests: as many, equally weighted, vary as much.

    A mistake in a class of n images weighs 1 / n, and the number is (sum of weights)^2 / (sum of squared weights). A
    class without a mistake may be a small one that would have some, so the number is at most that with half a mistake
    more in each class. Source: Kish 1965, "Survey sampling", on the effective size of a weighted sample.
    """
    images = np.bincount(predictions.labels, minlength=predictions.classes)
    wrong = np.bincount(predictions.labels[predictions.predicted != predictions.labels], minlength=predictions.classes)
    wrong, weights = wrong[images > 0], 1 / images[images > 0]
    effective_number = min(
        (counts @ weights) ** 2 / (counts @ weights**2) if counts.any() else 0.0 for counts in (wrong, wrong + 0.5)
    )
    return round(float(effective_number), 6)  # ten alike are ten


def rarest_mistakes(predictions: Predictions, classes: list[str]) -> str:
    """Return the smallest classes with fewer than ten mistakes, at most three, in words: `bee 1 of 8`."""
    images = np.bincount(predictions.labels, minlength=len(classes))
    wrong = np.bincount(predictions.labels[predictions.predicted != predictions.labels], minlength=len(classes))
    few = sorted((images[c], c) for c in range(len(classes)) if images[c] and wrong[c] < FEW)
    return ", ".join(f"{one_line(classes[c])} {wrong[c]} of {number}" for number, c in few[:NAMED])


def images_misranked(predictions: Predictions, positive: int) -> float:
    """Return the number of images on which AUROC rests: the fewer of a class's and of the others' in the wrong order.

    For more than two classes the sum over the classes, each against the rest. Infinite where nothing is ranked.
    """
    counted, scores = [], ranking_scores(predictions)
    for c in [positive] if predictions.classes == 2 else range(predictions.classes):
        is_class = predictions.labels == c
        if is_class.any() and not is_class.all():
            behind = scores[is_class, c] <= scores[~is_class, c].max()
            ahead = scores[~is_class, c] >= scores[is_class, c].min()
            counted.append(min(behind.sum(), ahead.sum()))
    return float(sum(counted)) if counted else math.inf
