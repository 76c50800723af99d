"""plots/measures.csv gives back what was written, in the form that a spreadsheet reads."""

import io
import math
from pathlib import Path

import pytest

from plumbline.results.measures_file import Measure, read_measures, write_measures

MEASURES = {
    ("train", "accuracy"): Measure(2 / 3, 60, 0.5, 1.0),
    ("val", "temperature"): Measure(1e-17, 24),
}
TEXT = """\
split,measure,value,low,high,images
train,accuracy,0.6666666666666666,0.5,1.0,60
val,temperature,1e-17,,,24
"""


def test_the_rows_are_split_measure_value_interval_and_images(tmp_path: Path) -> None:
    path = tmp_path / "measures.csv"
    write_measures(MEASURES, path)
    assert path.read_bytes().decode() == TEXT
    assert read_measures(path) == read_measures(io.StringIO(TEXT)) == MEASURES


@pytest.mark.parametrize("text", ["", "no table", TEXT.replace(",images", ""), TEXT + "test,accuracy,0.5\n"])
def test_another_form_is_an_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_measures(io.StringIO(text))


@pytest.mark.parametrize("measure", [Measure(math.nan, 3), Measure(0.5, 3, 0.1, math.inf)])
def test_only_finite_numbers_are_written(tmp_path: Path, measure: Measure) -> None:
    with pytest.raises(AssertionError, match="accuracy"):
        write_measures({("val", "accuracy"): measure}, tmp_path / "measures.csv")
    assert list(tmp_path.iterdir()) == []
