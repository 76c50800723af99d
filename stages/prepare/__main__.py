"""Read the user's images once: check them, decode them, and write them as arrays that are ready to train on.

Reads the folder `data.root`, which holds train/ and val/ (and perhaps test/), each with one folder a
class, and never writes there. Writes data/prepared: an array a split, a manifest of what is in it, a
quarantine of what is not and why, and the class names in label order; and metrics/prepare.json.
"""

import json
from pathlib import Path

import pandas as pd

from plumbline import params
from plumbline.class_folders import class_folders
from plumbline.errors import UserError, run
from plumbline.outputs import whole_folder, write_csv, write_json
from stages.prepare.decoding import Unusable, prepare_split, printable, quarantine_row
from stages.prepare.layout import find_candidates, find_classes, find_splits, find_strays

PREPARED = Path("data/prepared")
METRICS = Path("metrics/prepare.json")

MANIFEST_COLUMNS = [
    "split", "index", "path", "label", "class", "sha256", "width", "height", "format", "mode", "orientation",
]  # fmt: skip
QUARANTINE_COLUMNS = ["path", "reason", "detail"]


MISPLACED = Unusable("misplaced", "not in a class folder of train/, val/ or test/")


def refuse_empty_classes(splits: dict[str, Path], manifest: pd.DataFrame, quarantine: list[dict[str, str]]) -> None:
    """Refuse a class folder that gave no image, in any split."""
    for split, folder in splits.items():
        found = set(manifest.loc[manifest["split"] == split, "class"])
        for class_name in class_folders(folder):
            if class_name not in found:
                prefix = printable(f"{split}/{class_name}/")
                reasons = [row for row in quarantine if row["path"].startswith(prefix)]
                why = "; {path}: {reason}, {detail}".format(**reasons[0]) if reasons else ""
                raise UserError(f"{folder / class_name} holds no usable image: add some, or remove the folder{why}")


def main() -> None:
    settings = params.load()
    root = Path(settings.data.root)
    splits = find_splits(root)
    classes = find_classes(splits)
    candidates = find_candidates(root, splits)
    quarantine = [quarantine_row(name, MISPLACED) for name in find_strays(root, candidates)]
    with whole_folder(PREPARED) as folder:
        rows = []
        for split in splits:
            members = [candidate for candidate in candidates if candidate.split == split]
            if members:
                usable, unusable = prepare_split(folder, members, classes, settings.image.resize)
                rows += usable
                quarantine += unusable
        manifest = pd.DataFrame(rows, columns=MANIFEST_COLUMNS)
        refuse_empty_classes(splits, manifest, quarantine)
        write_csv(folder / "manifest.csv", manifest)
        write_csv(folder / "quarantine.csv", pd.DataFrame(quarantine, columns=QUARANTINE_COLUMNS))
        (folder / "classes.json").write_text(json.dumps(classes, ensure_ascii=False) + "\n", encoding="utf-8")
    counts = {f"{split}_images": int((manifest["split"] == split).sum()) for split in splits}
    write_json(METRICS, counts | {"classes": len(classes), "quarantined": len(quarantine)})


if __name__ == "__main__":
    run(main)
