"""How much may be wrong with a data set before the stage refuses it, and what is counted."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from plumbline.audit.tables import read_counts
from plumbline.run.errors import UserError
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_data_set, write_image
from tests.stages.prepare.conftest import PREPARED, quarantine


@pytest.fixture
def root(ready: Workspace) -> Path:
    """Twelve good images and two broken files."""
    root = write_data_set(Path("images"))
    (root / "train/ant/empty.jpg").touch()
    (root / "val/bee/text.jpg").write_text("text")
    return root


def metrics() -> dict[str, float]:
    return json.loads(Path("metrics/prepare.json").read_text())


def everything_counted() -> dict[str, float]:
    """Return the counts and the metrics, which agree."""
    found = read_counts()
    assert {key: count for key, count in metrics().items() if key != "class_imbalance"}.items() <= found.items()
    return found | metrics()


def test_more_unusable_files_than_allowed_end_the_stage(ready: Workspace, root: Path) -> None:
    with pytest.raises(UserError, match=r"^2 of 14 files give no image, more than data.max_unusable = 0.1 allows; the first is train/ant/empty.jpg: empty"):  # fmt: skip
        prepare.main()
    assert not PREPARED.exists()
    ready.set(data__max_unusable=2 / 14)
    prepare.main()
    assert quarantine() == {"train/ant/empty.jpg": "empty", "val/bee/text.jpg": "not an image"}


def test_one_unusable_file_ends_the_stage_where_the_policy_says_so(ready: Workspace, root: Path) -> None:
    ready.set(data__max_unusable=1.0, data__undecodable="fail")
    with pytest.raises(UserError, match=r"^train/ant/empty.jpg: empty.*\(2 such files\): mend or remove it, or set"):
        prepare.main()
    assert not PREPARED.exists()


def test_images_below_and_above_the_limits_are_set_aside(ready: Workspace, root: Path) -> None:
    write_image(root / "train/ant/wide.png", size=(50, 41))
    write_image(root / "train/ant/low.png", size=(60, 29))
    ready.set(data__max_unusable=1.0, data__min_side=30, data__max_pixels=50 * 41 - 1)
    prepare.main()
    rows = quarantine()
    assert rows["train/ant/wide.png"] == "too large"
    assert rows["train/ant/low.png"] == "too small"


def test_what_was_found_is_counted(ready: Workspace, root: Path) -> None:
    for i in range(3, 6):
        write_image(root / f"train/bee/{i}.png", seed=500 + i)
    ready.set(data__max_unusable=1.0)
    prepare.main()
    found = everything_counted()
    expected = {
        "train_images": 9, "val_images": 6, "classes": 2, "smallest_class_train_images": 3,
        "largest_class_train_images": 6, "class_imbalance": 2.0, "quarantined": 2, "quarantined_empty": 1,
        "quarantined_not_an_image": 1, "quarantined_truncated": 0,
    }  # fmt: skip
    assert {key: found[key] for key in expected} == expected


def test_mean_and_deviation_are_those_of_the_prepared_train_pixels(ready: Workspace) -> None:
    write_data_set(Path("images"))
    Image.new("RGB", (40, 40), "red").save("images/train/ant/red.png")
    prepare.main()
    pixels = np.load(PREPARED / "train.npy").astype(np.float64) / 255
    table = pd.read_csv("data/audit/pixels.csv")
    assert table["channel"].to_list() == ["red", "green", "blue"]
    assert table["mean"].to_numpy() == pytest.approx(pixels.mean(axis=(0, 1, 2)), rel=1e-12)
    assert table["std"].to_numpy() == pytest.approx(pixels.std(axis=(0, 1, 2)), rel=1e-9)
