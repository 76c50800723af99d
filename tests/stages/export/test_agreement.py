"""How far a file is from torch, and what eight bits cost, against hand-worked numbers."""

import math
from contextlib import nullcontext

import numpy as np
import pytest

from plumbline.run.errors import UserError
from stages.export.agreement import Outputs, agreement, agreement_table, refuse_other_models


def test_the_largest_difference_is_found_and_no_number_is_infinitely_far() -> None:
    wanted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5]])
    found = np.array([[0.8, 0.2], [0.55, 0.45], [0.5, 0.5]])
    own = agreement(found, wanted)
    assert own.largest_difference == pytest.approx(0.15)
    assert own.same_class == pytest.approx(2 / 3)
    found[0, 0] = math.nan
    assert agreement(found, wanted).largest_difference == math.inf


def test_a_float32_file_that_differs_by_more_than_the_tolerance_is_refused() -> None:
    wanted, close, far, none = (Outputs(np.array([[p, 1 - p]] * 24)) for p in (0.9, 0.900001, 0.9002, math.nan))
    refuse_other_models({"onnx": close, "pt2": close}, wanted, 1e-4)
    with pytest.raises(UserError, match=r"check failed: pt2: 100.0% of 24 val images .* error 2.0e-04, at most 1e-04"):
        refuse_other_models({"onnx": close, "pt2": far}, wanted, 1e-4)
    with pytest.raises(UserError, match="error inf"):
        refuse_other_models({"onnx": none}, wanted, 1e-4)


def test_one_image_of_a_thousand_may_be_at_the_very_threshold() -> None:
    for images, refused in ((999, True), (1000, False)):
        probabilities, one = np.full((images, 1), 1.0), np.arange(images) == 0
        wanted = Outputs(probabilities, ~one, np.ones(images), np.ones(images))
        found = wanted._replace(unknown=np.ones(images, bool))
        with pytest.raises(UserError, match="1 of 999 are not") if refused else nullcontext():
            refuse_other_models({"onnx": found}, wanted, 1e-4)


def test_the_table_has_each_files_accuracy_and_its_change_from_torchs() -> None:
    wanted = np.array([[0.9, 0.1], [0.4, 0.6], [0.5, 0.5], [0.1, 0.9]])
    found = np.array([[0.8, 0.2], [0.55, 0.45], [0.5, 0.5], [0.1, 0.9]])  # the second image changes its class
    table = agreement_table(
        {"onnx": 9, "int8": 3},
        {"onnx": Outputs(wanted), "int8": Outputs(found)},
        Outputs(wanted),
        np.array([0, 1, 1, 1]),
        0.9,
    )
    assert table[["file", "bytes", "images"]].to_numpy().tolist() == [["onnx", 9, 4], ["int8", 3, 4]]
    assert table["accuracy"].to_list() == [0.75, 0.5]
    assert table["accuracy_change"].to_list() == [0, -0.25]
    assert (table["accuracy_change_low"] < table["accuracy_change"]).all()


def test_the_change_of_images_that_belong_together_is_less_certain() -> None:
    """Ten groups of ten of which three turn wrong as a whole: as ten images, not as a hundred."""
    sure = np.tile([0.9, 0.1], (100, 1))
    found, groups = np.where((np.arange(100) < 30)[:, None], sure[:, ::-1], sure), np.repeat(np.arange(10), 10)
    widths = []
    for clusters in (None, groups):
        labels, files = np.zeros(100, int), {"int8": Outputs(found)}
        row = agreement_table({"int8": 3}, files, Outputs(sure), labels, 0.95, clusters).iloc[0]
        assert row["accuracy_change"] == pytest.approx(-0.3)
        widths.append(row["accuracy_change_high"] - row["accuracy_change_low"])
    assert widths[1] > 2.5 * widths[0]  # the root of 10 is 3.2; Wilson's intervals are shorter near 1
