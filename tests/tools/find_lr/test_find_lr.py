"""The learning-rate finder: where a made curve falls fastest, and what a run writes."""

import math
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from plumbline.run.errors import UserError
from tests.conftest import Workspace
from tools.find_lr import __main__ as find_lr


def curve(losses: np.ndarray) -> pd.DataFrame:
    rates = [find_lr.rising_lr(number) for number in range(len(losses))]
    return pd.DataFrame({"learning_rate": rates, "smoothed_loss": losses})


def test_it_suggests_where_the_loss_falls_fastest() -> None:
    # A logistic step down in log(lr) is steepest at its middle, 1e-3; beyond 0.1 the loss rises steeply.
    logs = np.log10([find_lr.rising_lr(number) for number in range(find_lr.UPDATES)])
    losses = 1 - 1 / (1 + np.exp(-4 * (logs + 3))) + np.maximum(0, 5 * (logs + 1))
    assert math.log10(find_lr.suggestion(curve(losses))) == pytest.approx(-3, abs=0.08)


def test_the_noise_of_the_first_updates_is_no_fall() -> None:
    logs = np.log10([find_lr.rising_lr(number) for number in range(find_lr.UPDATES)])
    losses = 1 - 1 / (1 + np.exp(-4 * (logs + 3)))
    losses[:5] += [3, 2, 0, 1, 0]
    assert math.log10(find_lr.suggestion(curve(losses))) == pytest.approx(-3, abs=0.08)


def test_a_loss_that_only_rises_gives_no_suggestion() -> None:
    with pytest.raises(UserError, match="the loss falls nowhere"):
        find_lr.suggestion(curve(np.linspace(1, 2, 50)))


def test_smoothing_keeps_a_constant_and_follows_a_step() -> None:
    assert find_lr.smoothed([2.0] * 5) == pytest.approx([2.0] * 5)
    # (0.9 * 1 + 1 * 2) / 1.9, by hand
    assert find_lr.smoothed([1.0, 2.0])[-1] == pytest.approx(2.9 / 1.9)


def test_the_figures_learning_rates_are_plain_numbers() -> None:
    with mpl.rc_context(find_lr.STYLE):
        table = curve(np.linspace(2, 1, 50))
        figure = find_lr.draw(table.assign(loss=table["smoothed_loss"]), 1e-3)
        figure.canvas.draw()
        labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"0.0001", "0.001", "0.01"} <= set(labels)
    assert not any("$" in label for label in labels)


@pytest.mark.medium
def test_a_run_writes_its_curve_and_changes_nothing_else(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    find_lr.main()
    written = {path for path in Path().rglob("*") if path.is_file()} - before.keys()
    assert written == {find_lr.CURVE, find_lr.FIGURE}
    assert all(path.read_bytes() == contents for path, contents in before.items())
    table = pd.read_csv(find_lr.CURVE)
    assert table["learning_rate"].is_monotonic_increasing
    assert "dvc exp run -S finetune.lr=" in capsys.readouterr().out
