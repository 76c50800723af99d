"""The homework: the formulas of problems 1 to 3 with what verified each, and their figures; and problem 4 in words.

Problem 4 is the run at hand, whose curves stand in the page's first part.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from plumbline.params.all import AllParams
from plumbline.presentation.percent import percent
from plumbline.results.training_history import begins_with_probe, epochs_trained
from plumbline.run.dotted_keys import flat, written
from stages.report.figures_and_tables import Figure, Table, counted, figure, shown, table
from stages.report.formulas import mathml
from stages.report.live_figures import LIVE_FIGURES, LiveFigure
from stages.report.result_section import first_and_last, has_one_rate
from stages.report.stage_results import Results

BELONGS = {  # the question, counted from 0, that each figure and table answers
    "backprop": {"figures": (0, 1, 2), "tables": (1, 1, 1, 2), "live": 2},
    "convolution": {"figures": (6,), "tables": (6, 6), "live": 5},
    "weight_decay": {"figures": (4, 4), "tables": (4,), "live": 4},
}
DIGITS = "data/digits"  # the folder that the digits stage writes
WHOLE = 1e-6
HOMEWORKS_BITS = 32
VISIBLE_LAG = 0.2  # of val accuracy behind train accuracy
HOMEWORKS_PARAMS = {  # all of image and finetune that the model depends on, but epochs and precision, told of in words
    "image.resize": 256,
    "image.crop": 224,
    "image.fit": "crop",
    "image.interpolation": "bilinear",
    "image.mean": [0.485, 0.456, 0.406],
    "image.std": [0.229, 0.224, 0.225],
    "weights.architecture": "resnet34",
    "finetune.head": "random",
    "finetune.batch_size": 16,
    "finetune.accumulate": 1,
    "finetune.optimiser": "sgd",
    "finetune.lr": 0.001,
    "finetune.first_layer_lr": 1.0,
    "finetune.schedule": "constant",
    "finetune.warmup_epochs": 0,
    "finetune.momentum": 0.9,
    "finetune.weight_decay": 0.0,
    "finetune.clip_norm": None,
    "finetune.freeze": None,
    "finetune.freeze_statistics": False,
    "finetune.sampler": "shuffle",
    "finetune.class_weights": "none",
    "finetune.label_smoothing": 0.0,
    "finetune.augment.flip": 0.0,
    "finetune.augment.smallest_crop": None,
    "finetune.augment.policy": "none",
    "finetune.augment.mixup": 0.0,
    "finetune.augment.cutmix": 0.0,
    "finetune.ema": None,
    "finetune.keep": "last",
    "finetune.patience": None,
    "finetune.overfit_batches": 0,
}


@dataclass(frozen=True)
class Step:
    """A formula, its explanation, and how it was verified."""

    number: str
    formula: Markup
    words: str
    verified: str  # empty for a definition


@dataclass(frozen=True)
class Answer:
    """A question of a problem, the steps that answer it, and what belongs to them."""

    question: str
    steps: list[Step] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    live: list[LiveFigure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(frozen=True)
class Problem:
    """A problem of the homework with its solution."""

    anchor: str
    title: str
    answers: list[Answer]
    code: list[dict[str, str]]
    checks_passed: int


def problems(results: Results, settings: AllParams) -> list[Problem]:
    """Return problems 1 to 3."""
    figures = {
        "backprop": backprop_figures(results),
        "convolution": network_figures(results),
        "weight_decay": weight_decay_figures(results, settings),
    }
    return [
        Problem(
            anchor=stage.replace("_", "-"),
            title=derivation["title"],
            answers=answers(stage, derivation, figures[stage]),
            code=derivation["code"],
            checks_passed=results.metrics[stage]["checks_passed"],
        )
        for stage, derivation in results.derivations.items()
    ]


def answers(stage: str, derivation: dict[str, Any], figures: list[Figure]) -> list[Answer]:
    """Return a problem's questions with their answers."""
    answered = []
    for step in derivation["steps"]:
        if step["question"]:
            answered.append(Answer(step["question"]))
        answered[-1].steps.append(Step(step["number"], mathml(step["latex"]), step["words"], step["verified"]))
    belongs = BELONGS[stage]
    for question, drawing in zip(belongs["figures"], figures, strict=True):
        answered[question].figures.append(drawing)
    for question, each in zip(belongs["tables"], derivation["tables"], strict=True):
        answered[question].tables.append(table(each["title"], each["columns"], each["rows"], most=len(each["rows"])))
    answered[belongs["live"]].live.append(LIVE_FIGURES[stage])
    return answered


def backprop_figures(results: Results) -> list[Figure]:
    """Return the figures of the computational graph and of the cost of the backward pass."""
    ratios = results.cost_ratio
    without = ratios.loc[ratios["backward_pass"].str.startswith("without"), "ratio"]
    return [
        figure(
            "computational_graph",
            "The computational graph of (0.1) to (0.4), traced from the code of the forward pass. It names two values "
            "between: e is y_hat - y, and s has the squares of its entries.",
            "Graph of seven values in a row, X, Z, u, y hat, e, s and L, with W1, W2 and y beside it; each edge back "
            "is labelled with the gradient that flows along it, as in the equations above.",
            tall="computational_graph_tall",
        ),
        figure(
            "worked_example",
            "The same graph with the numbers of a worked example, one sample a row: each value in blue, and below it "
            "in orange the derivative of L by it.",
            "The graph with two samples, two inputs, one hidden unit and one output; the table below has its numbers.",
            tall="worked_example_tall",
        ),
        figure(
            "cost_ratio",
            "The cost of the backward pass for each ratio of outputs to inputs, o / d.",
            f"Line chart. With the input's gradient the backward pass costs 2 times the forward pass at every width; "
            f"without it the ratio rises from {without.min():.3f} to {without.max():.3f}.",
        ),
    ]


def network_figures(results: Results) -> list[Figure]:
    """Return the figure of the network's layers."""
    layers = results.network_layers
    most, largest = layers.loc[layers["macs"].idxmax()], layers.loc[layers["parameters"].idxmax()]
    macs, parameters = (shown(int(layers[column].sum())) for column in ("macs", "parameters"))
    return [
        figure(
            "network_layers",
            "Multiply-adds and parameters of each layer of the network as published, with 1,000 outputs.",
            f"Two bar charts over {len(layers)} layers. Multiply-adds: {macs} in all, most in {most['layer']} "
            f"({shown(int(most['macs']))}). Parameters: {parameters} in these layers, most in {largest['layer']} "
            f"({shown(int(largest['parameters']))}).",
            wide=True,
        )
    ]


def weight_decay_figures(results: Results, settings: AllParams) -> list[Figure]:
    """Return the figures of the largest stable step size: on a quadratic, and for the learning rate of this run."""
    measured = results.measures.get(("train", "lr_over_curvature_limit"))
    rate = f"{settings.finetune.lr:.3g}" if has_one_rate(settings.finetune) else f"at most {settings.finetune.lr:.3g}"
    if not epochs_trained(results.history):
        rate = "with which no epoch was trained"
    stable, bound = "The largest stable one is not known.", " The latter is not known for this recipe."
    sign = " The limit of (d) is marked too." if settings.finetune.weight_decay > 0 else ""
    if measured:
        bound = (
            " The largest stable rate follows from the bound above, with this run's momentum and weight decay, and mu "
            f"measured on several draws of images: {curvature_range(results)}. The range of the bound is shaded in "
            "orange."
        )
        stable = f"It is {measured.low:.2g} to {measured.high:.2g} times the largest stable step size."
    return [
        figure(
            "weight_decay",
            "A weight on a quadratic loss, with a step size below, at and above the largest stable one.",
            "Line chart of the weight's absolute value over the steps, on a logarithmic axis: below the bound it falls "
            "along a line, at the bound it stays at 1, above the bound it rises along a line.",
        ),
        figure(
            "step_size",
            f"The learning rate of this run, and the largest stable one.{bound}{sign}",
            f"A logarithmic axis with the learning rate, {rate}. {stable}",
        ),
    ]


def curvature_range(results: Results) -> str:
    """Return the largest curvature of the loss where fine-tuning starts, as measured on several draws of images."""
    curvature = results.metrics["curvature"]
    return " to ".join(shown(curvature[f"largest_curvature_{end}"]) for end in ("low", "high"))


def fine_tuning_answer(results: Results) -> str:
    """Return problem 4's answer: the accuracies of the last epoch, and where loss and accuracy went from and to."""
    last, sizes = results.history.iloc[-1], results.manifest["split"].value_counts()
    train, val = (share_of(last[f"{split}_accuracy"], int(sizes[split])) for split in ("train", "val"))
    epochs = epochs_trained(results.history)
    if not epochs:
        return (
            "No epoch was trained: the head is a logistic regression on the features of the pre-trained network, "
            f"which is unchanged. The train accuracy is {train} and the val accuracy {val}."
        )
    loss, accuracy = (first_and_last(results, quantity) for quantity in ("loss", "accuracy"))
    start = "linear probe, epoch -1," if begins_with_probe(results.history) else "first"
    return (
        f"After {counted(epochs, 'epoch')} the train accuracy is {train} and the val accuracy {val}. As "
        f"in the homework, the train accuracy is the average over an epoch, in which the weights change. From the "
        f"{start} to the last epoch the loss goes {loss}, and the accuracy {accuracy}."
    )


def lag_of_val(results: Results, settings: AllParams) -> str:
    """Return why val accuracy lags behind train accuracy, where it does on the digits; else nothing.

    The cause was found on them alone, with the default recipe: benchmarks/running_statistics.py.
    """
    history = results.history
    lags = history["train_accuracy"] - history["val_accuracy"]
    measured = settings.data.root, settings.weights.source, settings.weights.architecture
    if measured != (DIGITS, "digits", "resnet34") or lags.max() < VISIBLE_LAG or begins_with_probe(history):
        return ""
    batches = math.ceil((results.manifest["split"] == "train").sum() / settings.finetune.batch_size)
    return (
        f"In epoch {lags.idxmax()}, counted from 0, val accuracy is {lags.max():.2f} below train "
        "accuracy. The cause is batch normalisation. In training it uses the mean and variance of each batch, in "
        "evaluation running means of them. Each batch replaces only a tenth of the running means, and an epoch has "
        f"{batches} batches, so they lag behind the weights. An experiment on another machine, with the default recipe "
        "and seed 0, shows it. After epoch 4 the accuracy on the training images was 0.90 in training mode and 0.53 in "
        "evaluation mode. With statistics of all training images, computed with the same weights, val accuracy was "
        "0.79 instead of 0.50 (benchmarks/README.md)."
    )


def share_of(accuracy: float, images: int) -> str:
    """Return an accuracy as k of n and in percent; in percent alone where blended images give no whole k."""
    right = round(accuracy * images)
    whole = abs(accuracy * images - right) < WHOLE
    return f"{right:,} of {images:,} ({percent(accuracy)})" if whole else percent(accuracy)


def differences_from_homework(results: Results, settings: AllParams) -> list[str]:
    """Return in which ways this run differs from the homework's."""
    classes = " and ".join(results.classes)
    if settings.data.root == DIGITS:
        images = (
            f"The images are scikit-learn's digits {classes}, 8 x 8 pixels, enlarged to {settings.image.resize} "
            "pixels. The homework's zip file is not used."
        )
    else:
        images = f"The images are those of {settings.data.root}."
    sources = {
        "digits": "The network was pre-trained on the other eight digits, not on ImageNet.",
        "none": "The network starts with random weights.",
    }
    weights = sources.get(settings.weights.source, f"The pre-trained weights are {settings.weights.source}.")
    epochs = (
        f"The homework's text asks for 20 epochs, and its printed code runs 10; this run has "
        f"{settings.finetune.epochs}. "
        "The momentum of 0.9 is in the code, not in the text."
    )
    bits = results.metrics["finetune"]["precision_bits"]
    precision = (
        f"Convolutions and matrix products have {bits} bits (finetune.precision); the homework's have {HOMEWORKS_BITS}."
    )
    given = flat(settings.model_dump())
    changed = [
        f"{key} is {written(given[key])}; the homework has {written(value)}."
        for key, value in HOMEWORKS_PARAMS.items()
        if given[key] != value
    ]
    return [
        images,
        *([] if settings.weights.source == "imagenet" else [weights]),
        epochs,
        *([] if bits == HOMEWORKS_BITS else [precision]),
        *changed,
    ]
