"""How far a file is from torch, and what eight bits cost, against published intervals and hand-worked numbers."""

import math

import numpy as np
import pytest

from plumbline.run.errors import UserError
from stages.export.agreement import Agreement, accuracy_change, agreement, agreement_table, refuse_other_models


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
    found = accuracy_change(*paired(*counts), 0.95)
    assert (found.value, found.low, found.high) == pytest.approx((change, low, high), abs=6e-4)
    assert found.images == sum(counts)


def test_turned_round_the_interval_is_turned_round() -> None:
    before, after = paired(20, 3, 5, 12)
    one, other = accuracy_change(before, after, 0.9), accuracy_change(after, before, 0.9)
    assert (other.value, other.low, other.high) == pytest.approx((-one.value, -one.high, -one.low))


def test_where_no_image_changed_the_interval_is_no_point() -> None:
    change = accuracy_change(*paired(23, 0, 0, 1), 0.95)
    assert change.value == 0
    assert change.low == pytest.approx(-change.high)
    assert 0.05 < change.high < 0.2
    assert accuracy_change(*paired(24, 0, 0, 0), 0.95).low < 0


def test_the_largest_difference_is_found_and_no_number_is_infinitely_far() -> None:
    wanted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    found = np.array([[0.8, 0.2], [0.55, 0.45], [0.5, 0.5]])
    own = agreement(found, wanted)
    assert own.largest_difference == pytest.approx(0.15)
    assert own.same_class == pytest.approx(2 / 3)
    found[0, 0] = math.nan
    assert agreement(found, wanted).largest_difference == math.inf


def test_a_float32_file_that_differs_by_more_than_the_tolerance_is_refused() -> None:
    close, far = Agreement(1e-6, 1.0, 24), Agreement(2e-4, 1.0, 24)
    refuse_other_models({"onnx": close, "pt2": close}, 1e-4)
    with pytest.raises(UserError, match=r"check failed: pt2: 100.0% of 24 val images .* error 2.0e-04, at most 1e-04"):
        refuse_other_models({"onnx": close, "pt2": far}, 1e-4)
    with pytest.raises(UserError, match="error inf"):
        refuse_other_models({"onnx": Agreement(math.inf, 1.0, 24)}, 1e-4)


def test_the_table_has_each_files_accuracy_and_its_change_from_torchs() -> None:
    wanted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
    found = np.array([[0.8, 0.2], [0.55, 0.45], [0.5, 0.5], [0.1, 0.9]])  # the second image changes its class
    table = agreement_table(
        {"onnx": 9, "int8": 3}, {"onnx": wanted, "int8": found}, wanted, np.array([0, 1, 1, 1]), 0.9
    )
    assert table[["file", "bytes", "images"]].to_numpy().tolist() == [["onnx", 9, 4], ["int8", 3, 4]]
    assert table["accuracy"].to_list() == [0.75, 0.5]
    assert table["accuracy_change"].to_list() == [0, -0.25]
    assert (table["accuracy_change_low"] < table["accuracy_change"]).all()
