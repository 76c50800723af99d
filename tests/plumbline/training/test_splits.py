"""Names that look like numbers or like nothing stay names."""

from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest

from plumbline.data.prepared import read_manifest
from plumbline.run.outputs import write_csv
from plumbline.training.splits import read_splits


def write_prepared(folder: Path, names: list[str]) -> None:
    rows = pd.DataFrame({"split": "train", "index": range(len(names)), "path": names, "label": range(len(names))})
    text = rows.assign(**{"class": names, "sha256": ""})
    write_csv(folder / "manifest.csv", text)
    np.save(folder / "train.npy", np.zeros((len(names), 2, 2, 3), np.uint8))


def test_class_names_that_look_like_numbers_or_nothing_stay_text(tmp_path: Path) -> None:
    names = ["007", "NA", "null", "1e3", "True", "a,b", 'a"b', "nan"]
    write_prepared(tmp_path, names)
    assert read_manifest(tmp_path)["class"].to_list() == names
    assert read_splits(tmp_path)["train"].paths == names


def test_what_a_reader_does_to_the_pixels_never_reaches_the_file(tmp_path: Path) -> None:
    write_prepared(tmp_path, ["a", "b"])
    read_splits(tmp_path)["train"].images.fill_(255)
    assert not np.load(tmp_path / "train.npy").any()


@pytest.mark.slow
def test_a_split_larger_than_memory_is_read(tmp_path: Path) -> None:
    size = 2**14  # pixels; one image has 0.75 GiB
    images = (psutil.virtual_memory().total + psutil.swap_memory().total) // (3 * size**2) + 2
    with (tmp_path / "train.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": (images, size, size, 3)}
        np.lib.format.write_array_header_1_0(file, header)
        file.truncate(file.tell() + images * 3 * size**2)  # of holes: it takes no room on the disk
    rows = {"split": "train", "path": "a.jpg", "label": 0, "sha256": "0"}
    pd.DataFrame([rows] * images).to_csv(tmp_path / "manifest.csv", index=False)
    assert read_splits(tmp_path)["train"].images[-1, -1, -1].tolist() == [0, 0, 0]
