"""Names that look like numbers or like nothing stay names."""

from pathlib import Path

import pandas as pd

from plumbline.audit.tables import read_images, read_quarantine
from plumbline.run.outputs import write_csv

NAMES = ["007", "NA", "null", "1e3", "True", "a,b", 'a"b', "nan", "#c"]


def test_paths_that_look_like_numbers_or_nothing_stay_text(tmp_path: Path) -> None:
    text = pd.DataFrame({"split": "train", "path": NAMES, "format": "", "mode": "L", "notes": NAMES})
    write_csv(tmp_path / "images.csv", text.assign(width=3, height=4, orientation=1))
    write_csv(tmp_path / "quarantine.csv", pd.DataFrame({"path": NAMES, "reason": "empty", "detail": NAMES}))
    images, quarantine = read_images(tmp_path), read_quarantine(tmp_path)
    assert images["path"].to_list() == images["notes"].to_list() == NAMES
    assert images["width"].to_list() == [3] * len(NAMES)
    assert quarantine["path"].to_list() == quarantine["detail"].to_list() == NAMES
