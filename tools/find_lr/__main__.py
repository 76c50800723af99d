"""Find a learning rate: train with one that rises from update to update, and see where the loss falls fastest.

    python -m tools.find_lr

Reads what the finetune stage reads, after `dvc repro finetune` or the stages before it, and changes none of it. Writes
plots/lr_finder.csv and plots/lr_finder.png, which neither git nor DVC holds, and suggests a value for finetune.lr.
Source: Smith 2017, "Cyclical learning rates", arXiv:1506.01186; the suggestion is fast.ai's `steep`, but looked for
before the lowest loss alone.
"""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from plumbline.model.model_file import read_model
from plumbline.presentation.figure_style import BLUE, GREY, STYLE, VERMILION, save
from plumbline.run import params_file
from plumbline.run.errors import UserError
from plumbline.run.errors import run as run_tool
from plumbline.run.outputs import write_csv
from plumbline.run.paths import BACKBONE
from plumbline.training.device_and_precision import nondeterministic_operations
from stages.finetune.divergence import Diverged
from stages.finetune.minibatches import part_for_epoch
from stages.finetune.optimiser_and_schedule import set_lr
from stages.finetune.run_state import Run
from stages.finetune.sampling_order import draw_order
from stages.finetune.training_loop import to_training_mode, update
from stages.finetune.training_setup import Params, Setup, begin_run, read_setup, with_probe_head, with_weights_transform

CURVE = Path("plots/lr_finder.csv")
FIGURE = Path("plots/lr_finder.png")

LOWEST, HIGHEST = 1e-6, 10.0
UPDATES = 100
SMOOTHING = 0.9  # share of the moving average that is kept at each update
BLOWN_UP = 4.0  # times the lowest smoothed loss: the curve ends there
UNSETTLED = 10  # updates at the start: an average of so few losses follows each of them
FEWEST = 20  # updates, without which there is no curve


def rising_lr(update_number: int) -> float:
    """Return the learning rate of an update, counted from 0: equal ratios from the lowest to the highest."""
    return LOWEST * (HIGHEST / LOWEST) ** (update_number / (UPDATES - 1))


def losses_on_the_way_up(run: Run, setup: Setup) -> list[float]:
    """Train the run in place with a rising learning rate, and return each update's loss until it blows up."""
    part, progress, losses, lowest = part_for_epoch(0, run, setup, lambda: None), run.progress, [], math.inf
    to_training_mode(part.trained, setup.recipe)
    batches: list = []
    for number in tqdm(range(UPDATES), "finding a learning rate", unit="update", disable=None):
        if not batches:
            order = draw_order(setup.train.labels, setup.recipe)
            batches = list(order.split(setup.recipe.batch_size * setup.recipe.accumulate))
        set_lr(run.optimiser, rising_lr(number))
        loss_sum, weight_sum, indices = progress.loss_sum, progress.weight_sum, batches.pop(0)
        try:
            update(run, setup, part, indices)
        except Diverged:
            break
        losses.append((progress.loss_sum - loss_sum) / (progress.weight_sum - weight_sum))
        lowest = min(lowest, smoothed(losses)[-1])
        if smoothed(losses)[-1] > BLOWN_UP * lowest:
            break
    return losses


def smoothed(losses: list[float]) -> list[float]:
    """Return the exponential moving average, corrected for its start at 0 as Adam's are."""
    average, result = 0.0, []
    for number, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        result.append(average / (1 - SMOOTHING**number))
    return result


def suggestion(table: pd.DataFrame) -> float:
    """Return the learning rate at which the smoothed loss falls fastest, once it has settled and before it is lowest.

    Raises UserError where it never falls.
    """
    settled = table.iloc[UNSETTLED:].reset_index(drop=True)
    slopes = np.gradient(settled["smoothed_loss"], np.log(settled["learning_rate"]))
    before_lowest = slopes[: int(settled["smoothed_loss"].idxmin()) + 1]
    if before_lowest.min() >= 0:
        raise UserError(f"the loss falls nowhere on {CURVE}: look at the labels, or set finetune.overfit_batches")
    return float(settled["learning_rate"].iloc[int(before_lowest.argmin())])


def draw(table: pd.DataFrame, suggested: float) -> Figure:
    """Return the figure: the loss over the learning rate, and the value that is suggested."""
    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(table["learning_rate"], table["loss"], color=GREY, alpha=0.5, linewidth=1, label="each update")
    axes.plot(table["learning_rate"], table["smoothed_loss"], color=BLUE, label="smoothed")
    axes.axvline(suggested, color=VERMILION, linestyle="--", label=f"falls fastest at {suggested:.2g}")
    axes.set(xscale="log", xlabel="learning rate", ylabel="train loss (cross-entropy, nats)")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_title("Loss while the learning rate rises")
    axes.legend()
    return figure


def main() -> None:
    settings = params_file.load(Params)
    backbone = read_model(BACKBONE)
    settings = with_weights_transform(settings, backbone)
    setup = with_probe_head(read_setup(settings, backbone.architecture), backbone)
    with nondeterministic_operations([]):
        losses = losses_on_the_way_up(begin_run(setup, backbone, settings.seed), setup)
    if len(losses) < FEWEST:
        raise UserError(f"the loss blew up after {len(losses)} updates, from {LOWEST:g} on: look at the images")
    rates = [rising_lr(number) for number in range(len(losses))]
    table = pd.DataFrame({"learning_rate": rates, "loss": losses, "smoothed_loss": smoothed(losses)})
    write_csv(CURVE, table)
    suggested = suggestion(table)
    with mpl.rc_context(STYLE):
        save(draw(table, suggested), FIGURE)
    print(f"the loss falls fastest at {suggested:.2g}: dvc exp run -S finetune.lr={suggested:.2g}")
    print(f"{FIGURE} shows the curve")


if __name__ == "__main__":
    run_tool(main, takes_memory="finetune.batch_size (and raise finetune.accumulate by the same factor) or image.crop")
