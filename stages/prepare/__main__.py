"""Read the user's images once: find, decode, audit and split them, and write arrays that are ready to train on.

Reads the folder or archive `data.root` and never writes there. Writes data/prepared: an array a split, a
manifest of what is in it, and the class names in label order; data/audit: how each image is stored and what was noted
about it, a quarantine of every file that is not used and why, the counts of all this, and the pixels' mean and standard
deviation; and metrics/prepare.json, the totals. What trains depends on data/prepared alone: a file that is not used, or
a note, trains nothing anew.
"""

import hashlib
import json
from pathlib import Path

import pandas as pd

from plumbline.params.data import Data
from plumbline.params.image import Image
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import SomeSections
from plumbline.run.outputs import whole_folder, write_csv, write_json
from plumbline.run.timing import timed
from stages.prepare.arrays import write_array
from stages.prepare.audit import Audit, audited
from stages.prepare.decoder_version import decoder_version
from stages.prepare.decoding import Limits, printable
from stages.prepare.duplicates import tied
from stages.prepare.engines import engine
from stages.prepare.layout import SPLITS, Layout, find_layout
from stages.prepare.metrics import counts, headline, pixels_table
from stages.prepare.pixel_cache import PixelCache, cache_folder
from stages.prepare.reading import UsableImage, read_all
from stages.prepare.root import opened
from stages.prepare.splitting import choose_splits
from stages.prepare.tables import images_table, manifest_table, quarantine_table

PREPARED = Path("data/prepared")
AUDIT = Path("data/audit")
METRICS = Path("metrics/prepare.json")

LINES = 10  # that are printed of each list


class Params(SomeSections):
    data: Data
    image: Image


def splits_to_choose(layout: Layout, data: Data) -> dict[str, float]:
    """Return the splits that the data set comes without and that have to be chosen, with their shares."""
    shares = {"test": data.test_share, "val": data.val_share}
    missing = {split: share for split, share in shares.items() if split not in layout.splits and share > 0}
    if not layout.splits or data.carve:
        return missing
    if "val" in missing:
        raise UserError(
            f"data.root: {data.root} has train/ and no val/: add one, or set data.carve to true to take it from train/"
        )
    return {}


def pixel_cache(data: Data, limits: Limits) -> PixelCache:
    """Return the cache for images that are decoded in this way."""
    key = hashlib.sha256(f"{decoder_version()} {limits}".encode()).hexdigest()
    return PixelCache(cache_folder(), key, limits.size**2 * 3, round(data.cache_gib * 2**30))


def in_order(images: list[UsableImage], classes: list[str]) -> dict[str, list[UsableImage]]:
    """Return each split's images in their final order, by class and path."""
    by_class = sorted(images, key=lambda image: classes.index(image.candidate.class_name))
    splits = {split: [image for image in by_class if image.split == split] for split in SPLITS}
    return {split: members for split, members in splits.items() if members}


def report(splits: dict[str, list[UsableImage]], audit: Audit) -> None:
    """Print what is used, and the first of what a person should look at."""
    print(", ".join(f"{split}: {len(images)} images" for split, images in splits.items()))
    aside = [f"{printable(name)}: {why.reason}, {why.detail}" for name, why in audit.set_aside]
    noted = [f"{i.candidate.name}: {'; '.join(i.notes)}" for images in splits.values() for i in images if i.notes]
    listed = (aside, f"not used, listed in {AUDIT}/quarantine.csv"), (noted, f"used and noted in {AUDIT}/images.csv")
    for lines, what in listed:
        if lines:
            print(f"{len(lines)} {what}:")
            more = [f"... and {len(lines) - LINES} more"] if len(lines) > LINES else []
            print("\n".join(f"    {line}" for line in lines[:LINES] + more))


def main() -> None:
    settings = params_file.load(Params)
    data = settings.data
    limits = Limits(settings.image.resize, data.max_pixels, data.min_side)
    with (
        opened(Path(data.root)) as root,
        whole_folder(PREPARED) as folder,
        whole_folder(AUDIT) as audit_folder,
        pixel_cache(data, limits) as cache,
    ):
        layout = find_layout(root, data)
        shares = splits_to_choose(layout, data)
        with timed("prepare", len(layout.candidates)), engine(data):
            results = read_all(layout.candidates, limits, cache, folder, elsewhere=data.executor != "loky")
        audit = audited(layout, results, data, chosen=set(shares))
        to_split = [image for image in audit.images if image.split is None]
        choose_splits(to_split, tied(to_split, data.near_distance), shares, data.split_seed)
        splits = in_order(audit.images, layout.classes)
        for split, images in splits.items():
            write_array(folder / f"{split}.npy", [image.pixels for image in images], limits.size)
        write_csv(folder / "manifest.csv", manifest_table(splits, layout.classes))
        write_csv(audit_folder / "images.csv", images_table(splits))
        write_csv(audit_folder / "quarantine.csv", quarantine_table(audit.set_aside))
        (folder / "classes.json").write_text(json.dumps(layout.classes, ensure_ascii=False) + "\n", encoding="utf-8")
        found = counts(splits, audit, layout.classes)
        write_csv(audit_folder / "counts.csv", pd.DataFrame(found.items(), columns=["finding", "count"]))
        write_csv(audit_folder / "pixels.csv", pixels_table(splits["train"], limits.size))
        report(splits, audit)
    write_json(METRICS, headline(found))


if __name__ == "__main__":
    run(main)
