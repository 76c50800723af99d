"""How far a file is from torch, and what eight bits cost, against published intervals and hand-worked numbers."""

import math

import numpy as np
import pytest

from stages.export.agreement import accuracy_change, agreement


def paired(both: int, gained: int, lost: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Return right before and after for images of these counts."""
    before = np.array([True] * both + [False] * gained + [True] * lost + [False] * neither)
    after = np.array([True] * both + [True] * gained + [False] * lost + [False] * neither)
    return before, after


# Airway reactivity before and after stem cell transplantation (Bentur et al. 2009), as in Fagerland, Lydersen and Laake
# 2014, "Recommended tests and confidence intervals for paired binomial proportions"; Newcombe 1998's own first table.
@pytest.mark.parametrize(
    ("counts", "change", "low", "high"),
    [((1, 1, 7, 12), -6 / 21, -0.507, -0.026), ((36, 12, 2, 0), 0.2, 0.0569, 0.3404)],
)
def test_the_change_in_accuracy_has_newcombes_interval(
    counts: tuple[int, int, int, int], change: float, low: float, high: float
) -> None:
    assert accuracy_change(*paired(*counts), 0.95) == pytest.approx((change, low, high), abs=6e-4)


def test_turned_round_the_interval_is_turned_round() -> None:
    before, after = paired(20, 3, 5, 12)
    change, low, high = accuracy_change(before, after, 0.9)
    assert accuracy_change(after, before, 0.9) == pytest.approx((-change, -high, -low))


def test_where_no_image_changed_the_interval_is_no_point() -> None:
    change, low, high = accuracy_change(*paired(23, 0, 0, 1), 0.95)
    assert change == 0
    assert low == pytest.approx(-high)
    assert 0.05 < high < 0.2
    assert accuracy_change(*paired(24, 0, 0, 0), 0.95)[1] < 0


def test_the_largest_difference_is_found_and_no_number_is_infinitely_far() -> None:
    wanted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    found = np.array([[0.8, 0.2], [0.55, 0.45], [0.5, 0.5]])
    own = agreement(found, wanted)
    assert own.largest_difference == pytest.approx(0.15)
    assert own.same_class == pytest.approx(2 / 3)
    found[0, 0] = math.nan
    assert agreement(found, wanted).largest_difference == math.inf
