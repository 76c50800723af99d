"""Tables and metrics that anybody may have changed: what is no number is one line with its place."""

import json
from pathlib import Path

import pytest

from plumbline.results.measures_file import read_measures
from plumbline.results.tables import read_metrics, read_table
from plumbline.run.errors import UserError
from tests.conftest import PROJECT


@pytest.mark.parametrize("path", sorted((PROJECT / "plots").glob("*.csv")), ids=lambda path: path.stem)
def test_what_the_stages_wrote_is_read(path: Path) -> None:
    assert len(read_table(path)) == len(path.read_text().splitlines()) - 1


@pytest.mark.parametrize("path", sorted((PROJECT / "metrics").glob("*.json")), ids=lambda path: path.stem)
def test_the_metrics_that_the_stages_wrote_are_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(PROJECT)
    assert read_metrics(path.stem) == json.loads(path.read_text())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[1]", "does not hold numbers by their names"),
        ('{"loss": "<b>low</b>"}', "has '<b>low</b>' for loss, which is no finite number"),
        ('{"loss": NaN}', "has 'nan' for loss"),
        ('{"loss": 1e400}', "has 'inf' for loss"),
        ('{"loss": true}', "has 'True' for loss"),
        ('{"loss": null}', "has 'None' for loss"),
        ('{"loss": [0.5]}', "for loss, which is no finite number"),
        ('{"accuracy": 0.5}', "lacks loss"),
    ],
)
def test_metrics_that_are_none_are_one_line(
    text: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    Path("metrics/finetune.json").write_text(text)
    with pytest.raises(UserError) as error:
        read_metrics("finetune")["loss"]
    assert str(error.value).startswith("metrics/finetune.json ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no table"),
        ("epoch,loss\n0,low\n", "has 'low' in line 2, column loss, which is no finite number"),
        ("epoch,loss\n0,0.5\n1,nan\n", "has 'nan' in line 3, column loss"),
        ("epoch,loss\n0,0.5\n1,inf\n", "in line 3, column loss"),
        ("epoch,loss\n0,1e999\n", "in line 2, column loss"),
        ("epoch,loss\n0,0.5,7\n1,2,3,4,5\n", "is no table"),
        ("epoch,loss\n\x00,\x00\n", "in line 2, column epoch"),
        ("epoch,train_loss,train_accuracy,val_loss,val_accuracy\n1,1,1,1,1\n", "has no column learning_rate"),
        ("epoch,train_loss,train_accuracy,val_loss,val_accuracy,learning_rate\n", "has no row"),
    ],
)
def test_a_table_that_has_text_for_a_number_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / ("history.csv" if "train" in text else "other.csv")
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path} ")
    assert message in str(error.value)


def test_names_stay_text_and_a_cell_may_be_empty(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("class,images,f1\n007,1,\nNA,2,0.5\n")
    table = read_table(tmp_path / "t.csv")
    assert table["class"].to_list() == ["007", "NA"]
    assert table["images"].to_list() == [1, 2]


@pytest.mark.parametrize(
    "row", ["val,loss,low,,,24", "val,loss,0.5,nan,1,24", "val,loss,0.5,0.4,,24", "val,loss,0.5,,,many", "val,loss"]
)
def test_measures_that_are_no_numbers_are_one_line(row: str, tmp_path: Path) -> None:
    path = tmp_path / "measures.csv"
    path.write_text(f"split,measure,value,low,high,images\n{row}\n")
    with pytest.raises(UserError, match=r"measures.csv is no table of measures \(line 2: ") as error:
        read_measures(path)
    assert "\n" not in str(error.value)


def test_a_measure_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "measures.csv").write_text("split,measure,value,low,high,images\n")
    with pytest.raises(UserError, match="lacks val accuracy"):
        read_measures(tmp_path / "measures.csv")["val", "accuracy"]
