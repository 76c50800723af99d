"""When training ends, which epoch is kept, and what several seeds say together."""

import json
import statistics
from pathlib import Path

import pandas as pd
import pytest
import torch

from plumbline.model.model_file import read_model
from plumbline.params.all import AllParams
from plumbline.run import params_file
from stages.finetune import __main__ as finetune
from stages.finetune.training_loop import best_row, is_finished, kept_row
from tests.conftest import Workspace


def history(*losses: float) -> list[dict[str, float]]:
    return [{"epoch": epoch, "val_loss": loss} for epoch, loss in enumerate(losses)]


def test_patience_counts_epochs_without_a_lower_val_loss(workspace: Workspace) -> None:
    workspace.set(finetune__epochs=10, finetune__patience=2)
    recipe = params_file.load(AllParams).finetune
    assert not is_finished([], recipe)
    assert not is_finished(history(3, 1, 2), recipe)
    assert is_finished(history(3, 1, 2, 1), recipe)  # as low is not lower
    assert not is_finished(history(3, 1, 2, 0.5, 2), recipe)
    workspace.set(finetune__patience=None)
    recipe = params_file.load(AllParams).finetune
    assert not is_finished(history(*[1] * 9), recipe)
    assert is_finished(history(*[1] * 10), recipe)


def test_the_best_epoch_is_the_first_of_the_lowest(workspace: Workspace) -> None:
    assert best_row(history(3, 1, 2, 1))["epoch"] == 1
    assert kept_row(history(3, 1, 2), params_file.load(AllParams).finetune)["epoch"] == 2
    workspace.set(finetune__keep="best")
    assert kept_row(history(3, 1, 2), params_file.load(AllParams).finetune)["epoch"] == 1


def weights_after(ready: Workspace, **values: object) -> dict[str, torch.Tensor]:
    ready.set(**{f"finetune__{key}": value for key, value in values.items()})
    finetune.main()
    return read_model(finetune.FINETUNED).tensors


@pytest.mark.slow
@pytest.mark.parametrize("freeze", [None, "layer2"])
def test_the_model_is_that_of_the_best_epoch(ready: Workspace, freeze: str | None) -> None:
    # A learning rate that is far too high: the val loss gets worse after a while.
    tensors = weights_after(ready, epochs=6, lr=0.05, keep="best", freeze=freeze)
    table, metrics = pd.read_csv(finetune.HISTORY), json.loads(finetune.METRICS.read_text())
    best = int(table["val_loss"].idxmin())
    assert metrics["kept_epoch"] == best < 5, "the last epoch is the best: this shows nothing"
    assert metrics["val_loss"] == table["val_loss"].min()
    assert metrics["epochs"] == 6
    until_then = weights_after(ready, epochs=best + 1, keep="last")
    assert tensors.keys() == until_then.keys()
    assert all(torch.equal(tensors[key], until_then[key]) for key in tensors)


@pytest.mark.medium
def test_early_stopping_ends_the_run(ready: Workspace) -> None:
    weights_after(ready, epochs=12, lr=0.05, patience=2)
    table = pd.read_csv(finetune.HISTORY)
    assert len(table) == int(table["val_loss"].idxmin()) + 3 < 12


@pytest.mark.slow
def test_several_seeds_give_mean_and_deviation_and_the_first_ones_model(ready: Workspace) -> None:
    ready.set(finetune__precision="float32")
    alone = []
    for seed in (3, 4, 5):
        ready.set(seed=seed)
        finetune.main()
        outputs = [Path(path).read_bytes() for path in (finetune.HISTORY,)]
        alone.append((json.loads(finetune.METRICS.read_text()), outputs, read_model(finetune.FINETUNED).tensors))
    ready.set(seed=3, finetune__seeds=3)
    finetune.main()
    metrics, tensors = json.loads(finetune.METRICS.read_text()), read_model(finetune.FINETUNED).tensors
    assert metrics["seeds"] == 3
    for key in ("train_loss", "train_accuracy", "val_loss", "val_accuracy"):
        values = [own[0][key] for own in alone]
        assert metrics[key] == values[0]
        assert metrics[f"{key}_mean"] == pytest.approx(statistics.mean(values))
        assert metrics[f"{key}_deviation"] == pytest.approx(statistics.stdev(values))
    assert finetune.HISTORY.read_bytes() == alone[0][1][0]
    assert all(torch.equal(tensors[key], alone[0][2][key]) for key in tensors)
    assert not list(Path(".checkpoints").rglob("*.pt"))
