"""The temperature is the one with the least log loss."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import brute
from scipy.special import log_softmax

from plumbline.training.temperature import caveat, fit_temperature


def test_of_equally_sure_predictions_it_makes_the_probability_the_share_that_is_right() -> None:
    # Logits 3 and 0 for ten images, of which eight are right: softmax(3 / T) is 0.8 where T is 3 / log 4.
    logits = torch.tensor([[3.0, 0.0]] * 10, dtype=torch.float64)
    labels = torch.tensor([0] * 8 + [1] * 2)
    assert fit_temperature(logits, labels) == pytest.approx(3 / math.log(4), rel=1e-6)


def test_no_temperature_on_a_grid_is_better() -> None:
    chance = np.random.default_rng(0)
    labels = chance.integers(0, 5, 200)
    logits = 4 * (chance.normal(size=(200, 5)) + np.eye(5)[labels])
    loss = lambda t: -log_softmax(logits / t, axis=1)[np.arange(200), labels].mean()  # noqa: E731
    wanted = brute(loss, [(0.1, 15)], Ns=2000)
    assert fit_temperature(torch.tensor(logits), torch.tensor(labels)) == pytest.approx(wanted.item(), rel=1e-3)


def test_without_a_mistake_it_stays_1_which_is_said() -> None:
    logits, labels = torch.tensor([[2.0, 0.0], [0.0, 1.0]], dtype=torch.float64), torch.tensor([0, 1])
    assert fit_temperature(logits, labels) == 1.0
    assert "it stays 1" in caveat(1.0, logits, labels)
    assert caveat(1.0, logits, 1 - labels) is None


def test_a_temperature_at_the_end_of_the_search_is_said() -> None:
    labels = torch.tensor([0, 1] * 20)
    sure_by_chance = 500.0 * torch.eye(2, dtype=torch.float64)[torch.tensor([0, 1, 1, 0] * 10)]
    temperature = fit_temperature(sure_by_chance, labels)
    assert temperature == pytest.approx(20, rel=1e-3)
    assert "the temperature that fits val best is beyond 20" in caveat(temperature, sure_by_chance, labels)
