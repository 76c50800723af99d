"""Tables of labels as Parquet: what pandas writes, values that are no text, images within the table, damage."""

import shutil
from pathlib import Path

import duckdb
import pytest

from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace
from tests.stages.prepare.conftest import PREPARED, manifest, prepared, quarantine
from tests.support.label_tables import HEADER, labels, rows_of, write_images, write_parquet, write_table

# By pandas 3.1.1 with pyarrow 26.0.1, 12 rows: file, species (categories, of which some are missing), hive (whole
# numbers, of which some are missing, so that pandas keeps them as floats), split, seen (a date), embedding (lists),
# thumbnail (bytes), and an index of row numbers.
WRITTEN_BY_PANDAS = Path(__file__).with_name("written_by_pandas.parquet")


def write_values(values: list[str]) -> None:
    """Write labels.parquet, with the path of `write_images`'s next image and one of these SQL values in each row."""
    rows = " UNION ALL BY NAME ".join(f"SELECT '{i}.png' AS path, {value} AS label" for i, value in enumerate(values))
    with duckdb.connect() as connection:
        connection.sql(rows).write_parquet("labels.parquet")


def test_what_pandas_writes_is_read(ready: Workspace) -> None:
    write_images(*(f"{i:02}.png" for i in range(12)))
    shutil.copy(WRITTEN_BY_PANDAS, "labels.parquet")
    ready.set(data__labels="labels.parquet", data__max_unusable=0.5)
    ready.set(data__columns__path="file", data__columns__label="species", data__columns__group="hive")
    prepare.main()
    assert labels() == {f"{i:02}.png": ("01", "1.0")[i % 3] for i in range(12) if i % 3 < 2}
    assert quarantine() == {f"{i:02}.png": "no label" for i in range(2, 12, 3)}
    assert manifest().groupby("split").size().to_dict() == {"train": 4, "val": 2, "test": 2}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["7", "12345678901234567"], ["7", "12345678901234567"]),
        (["1.0::DOUBLE", "0.1::DOUBLE"], ["1.0", "0.1"]),
        (["1.50::DECIMAL(9, 2)", "12.00::DECIMAL(9, 2)"], ["1.50", "12.00"]),
        (["true", "false"], ["true", "false"]),
        (["DATE '2024-01-02'", "DATE '2024-11-02'"], ["2024-01-02", "2024-11-02"]),
        (["'a'::ENUM ('a', 'b')", "'b'::ENUM ('a', 'b')"], ["a", "b"]),
    ],
)  # fmt: skip
def test_a_value_that_is_no_text_becomes_one(ready: Workspace, values: list[str], texts: list[str]) -> None:
    write_images(*(f"{i}.png" for i in range(8)))
    write_values(values * 4)
    ready.set(data__labels="labels.parquet")
    prepare.main()
    assert labels() == {f"{i}.png": texts[i % 2] for i in range(8)}


@pytest.mark.parametrize("missing", ["NULL::DOUBLE", "'nan'::DOUBLE"])
def test_null_and_nan_are_no_label(ready: Workspace, missing: str) -> None:
    write_images(*(f"{i}.png" for i in range(9)))
    write_values(["1.0::DOUBLE", "2.0::DOUBLE"] * 4 + [missing])
    ready.set(data__labels="labels.parquet")
    prepare.main()
    assert labels() == {f"{i}.png": ("1.0", "2.0")[i % 2] for i in range(8)}
    assert quarantine() == {"8.png": "no label"}


def test_it_gives_what_delimited_text_gives_beside_the_images_and_in_an_archive(ready: Workspace, root: Path) -> None:
    rows = rows_of(root)
    write_table("labels.csv", HEADER, rows)
    ready.set(data__labels="labels.csv")
    prepare.main()
    before = prepared()
    write_parquet("labels.parquet", HEADER.split(","), rows)
    ready.set(data__labels="labels.parquet")
    prepare.main()
    assert prepared() == before
    shutil.copy("labels.parquet", "images/[l]?*.parquet")  # read as it is named, and not as a pattern
    shutil.copy(WRITTEN_BY_PANDAS, "images/labels.parquet")
    ready.set(data__labels="images/[l]?*.parquet")
    prepare.main()
    assert {name for name, own in prepared().items() if before[name] != own} == {
        "audit/quarantine.csv",
        "audit/counts.csv",
    }
    Path("images/[l]?*.parquet").rename("images/labels.parquet")
    ready.set(data__root=shutil.make_archive("images", "zip", "images"))
    ready.set(data__labels=None, data__labels_in_root="labels.parquet")
    prepare.main()
    assert prepared() == before


def test_images_within_the_table_are_not_taken_for_paths(ready: Workspace, root: Path) -> None:
    """As https://huggingface.co/docs/datasets/about_dataset_features has them: an image is a record."""
    with duckdb.connect() as connection:
        image = "{'bytes': 'x'::BLOB, 'path': 'a.png'} AS image"
        connection.sql(f"SELECT {image}, 1 AS label, 'x'::BLOB AS file_name").write_parquet("t.parquet")
        connection.sql(f"SELECT {image}, [1] AS label").write_parquet("nested.parquet")
    ready.set(data__labels="t.parquet")
    with pytest.raises(UserError, match=r"t.parquet has the columns 'label', of which none is known as the path"):
        prepare.main()
    ready.set(data__labels="nested.parquet")
    with pytest.raises(UserError, match=r"nested.parquet has no column of text, numbers or dates"):
        prepare.main()


def test_damage_is_one_line_and_writes_nothing(ready: Workspace, root: Path) -> None:
    write_parquet("whole.parquet", HEADER.split(","), rows_of(root))
    whole = Path("whole.parquet").read_bytes()
    damaged = {f"cut at {end}": whole[:end] for end in range(0, len(whole) - 1, 37)}
    damaged |= {
        "a column's name is no Unicode": whole.replace(b"label", b"\xffabel"),
        "no footer": whole[:4] + whole[-8:],
        "a footer of 4 GB": whole[:-8] + b"\xff\xff\xff\xff" + whole[-4:],
    }
    ready.set(data__labels="labels.parquet")
    for what, contents in damaged.items():
        Path("labels.parquet").write_bytes(contents)
        with pytest.raises(UserError, match=r"labels.parquet cannot be read as Parquet: .") as error:
            prepare.main()
        assert "\n" not in str(error.value), what
        assert str(Path.cwd()) not in str(error.value), what
        assert not PREPARED.exists(), what
