"""Find, decode, audit and split the user's images, and write arrays that are ready to train on.

Reads the folder or archive `data.root`, and the tables of labels and of corrections if there are some, and writes
nothing there. Writes
- data/prepared: an array for each split, a manifest of the images in them, and the class names in label order;
- data/audit: how each image is stored and the notes on it, every file that is not used with the reason, the counts of
  all this, each class's share in each split, which images belong together, the pixels' mean and standard deviation, and
  what became of each correction;
- metrics/prepare.json: the totals.
Training depends on data/prepared alone: a file that is not used, or a note, does not cause a new training.
"""

import hashlib
import json
from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from plumbline.data.prepared import RESIZING, SPLITS, USUAL_RESIZING, VALUE_RANGES
from plumbline.images.upright_eight_bit_rgb import FULL_RANGES
from plumbline.params.data import Data
from plumbline.params.image import PRETRAINED, Image
from plumbline.run import params_file
from plumbline.run.errors import UserError, run
from plumbline.run.fields import SomeSections
from plumbline.run.outputs import whole_folder, write_csv, write_json
from plumbline.run.paths import AUDIT, CLUSTERS, PREPARED, PRETRAINED_PIXELS
from plumbline.run.timing import timed
from stages.prepare.arrays_and_tables import (
    clusters_table,
    images_table,
    manifest_table,
    quarantine_table,
    write_array,
)
from stages.prepare.audit import Audit, audit_images, reason_in_words
from stages.prepare.corrections import (
    corrections_table,
    counts_of,
    line_of,
    read_corrections,
    with_new_labels,
    with_original_labels,
    without_excluded,
)
from stages.prepare.decoding import Limits, Unusable, decoder_version
from stages.prepare.executors import executor
from stages.prepare.folder_structure import Candidate, FolderStructure, opened
from stages.prepare.folds import choose_fold, without_splits
from stages.prepare.labelled_files import find_data_set
from stages.prepare.metrics import counts, headline, pixels_table
from stages.prepare.parallel_decoding import UsableImage, read_all
from stages.prepare.pixel_cache import PixelCache, cache_folder
from stages.prepare.splitting import choose_splits, shares_missed, shares_table
from stages.prepare.untracked import print_if_untracked
from stages.prepare.value_ranges import Range, value_ranges

METRICS = Path("metrics/prepare.json")

LINES = 10  # to print of each list


class Params(SomeSections):
    data: Data
    image: Image


def limits_of(data: Data, image: Image) -> Limits:
    """Return which images are used, and how they become squares. The params stage wrote what belongs to the weights."""
    resizing = {"resize": image.resize, "interpolation": image.interpolation}
    if PRETRAINED in resizing.values():
        resizing |= json.loads(PRETRAINED_PIXELS.read_text(encoding="utf-8"))
    interpolation = resizing["interpolation"]
    return Limits(resizing["resize"], data.max_pixels, data.min_side, fit=image.fit, interpolation=interpolation)


def splits_to_choose(structure: FolderStructure, data: Data) -> dict[str, float]:
    """Return the share of each split that the data set does not have and that has to be chosen."""
    if data.fold is not None:
        return {"test": 1 / data.folds, "val": data.val_share}
    shares = {"test": data.test_share, "val": data.val_share}
    missing = {split: share for split, share in shares.items() if split not in structure.splits and share > 0}
    if not structure.splits or data.carve or any(candidate.split is None for candidate in structure.candidates):
        return missing
    if "val" in missing:
        if structure.table:
            raise UserError(
                f"{structure.table} has rows of train, and none of val for a file in {data.root}: add some, or set "
                "data.carve to true to take it from train"
            )
        raise UserError(
            f"data.root: {data.root} has train/ and no val/: add one, or set data.carve to true to take it from train/"
        )
    return {}


def pixel_cache(data: Data, limits: Limits) -> PixelCache:
    """Return the cache of the pixels that these limits and this version of the decoder give."""
    key = hashlib.sha256(f"{decoder_version()} {limits}".encode()).hexdigest()
    return PixelCache(cache_folder(), key, limits.size**2 * 3, round(data.cache_gib * 2**30))


def read_alike(
    candidates: list[Candidate], limits: Limits, data: Data, scratch: Path, caches: ExitStack
) -> tuple[list[UsableImage | Unusable], dict[str, Range]]:
    """Read all files, and return with them the values of black and white in images of more than 8 bits.

    If all images have to be seen for these values, the images that have them are decoded a second time.
    """
    if data.value_range != "auto":
        limits = replace(limits, ranges=dict.fromkeys(FULL_RANGES, data.value_range))
    read = partial(read_all, scratch=scratch, remote=data.executor != "loky", seconds=data.seconds_per_image)
    results = read(candidates, limits, caches.enter_context(pixel_cache(data, limits)))
    ranges = value_ranges(results, data.value_range)
    if data.value_range != "auto" or not ranges or ranges == {"integers": [0, 65535]}:
        return results, ranges
    again = [i for i, result in enumerate(results) if isinstance(result, UsableImage) and result.facts.wide]
    alike = replace(limits, ranges=ranges)
    cache = caches.enter_context(pixel_cache(data, alike))
    for i, result in zip(again, read([candidates[i] for i in again], alike, cache), strict=True):
        results[i] = result
    return results, ranges


def in_order(images: list[UsableImage], chosen: dict[str, str], classes: list[str]) -> dict[str, list[UsableImage]]:
    """Return each split's images in their final order, by class and path. `chosen` are the splits not in the data."""
    by_class = sorted(images, key=lambda image: classes.index(image.candidate.class_name))
    members: dict[str, list[UsableImage]] = {split: [] for split in SPLITS}
    for image in by_class:
        split = image.split or chosen[image.candidate.name]
        members[split].append(replace(image, split=split))
    return {split: images for split, images in members.items() if images}


def report(splits: dict[str, list[UsableImage]], audit: Audit) -> None:
    """Print how many images are used, and the first of those that a person should look at."""
    print(", ".join(f"{split}: {len(images)} images" for split, images in splits.items()))
    groups = Counter(image.candidate.group for images in splits.values() for image in images)
    ungrouped = groups.pop(None, 0)
    if groups:
        print(f"{len(groups)} groups" + (f", and {ungrouped} images of no group" if ungrouped else ""))
    notes = audit.notes_by_image()
    used = [image.candidate.name for images in splits.values() for image in images]
    not_used = [reason_in_words(name, why) for name, why in audit.quarantine]
    noted = [f"{name}: {notes[name]}" for name in used if name in notes]
    for lines, what in (
        (not_used, f"not used, listed in {AUDIT}/quarantine.csv"),
        (noted, f"used and noted in {AUDIT}/images.csv"),
    ):
        if lines:
            print(f"{len(lines)} {what}:")
            more = [f"... and {len(lines) - LINES} more"] if len(lines) > LINES else []
            print("\n".join(f"    {line}" for line in lines[:LINES] + more))


def print_shares_missed(missed: list[str]) -> None:
    """Say which splits have far more or fewer images of a class than their share, and why."""
    if missed:
        more = f"; and {len(missed) - LINES} more, in {AUDIT}/shares.csv" if len(missed) > LINES else ""
        print(
            f"{'; '.join(missed[:LINES])}{more}: images that stay together (data.groups, copies, near copies) are too "
            "many, or the class is too small, for a closer cut"
        )


def main() -> None:
    settings = params_file.load(Params)
    data = settings.data
    limits = limits_of(data, settings.image)
    resizing = {"fit": limits.fit, "interpolation": limits.interpolation}
    with (
        opened(Path(data.root)) as root,
        whole_folder(PREPARED) as folder,
        whole_folder(AUDIT) as audit_folder,
        ExitStack() as caches,
    ):
        structure = find_data_set(root, data)
        structure = structure if data.fold is None else without_splits(structure)
        shares = splits_to_choose(structure, data)
        corrections = read_corrections(data.corrections, structure.classes) if data.corrections else []
        with timed("prepare", len(structure.candidates)), executor(data):
            results, ranges = read_alike(structure.candidates, limits, data, folder, caches)
        relabelled, with_labels = with_new_labels(structure, results, corrections)
        audit = audit_images(relabelled, with_labels, data, to_choose=set(shares), fit=limits.fit)
        to_split = with_original_labels([image for image in audit.images if image.split is None], structure)
        if data.fold is None:
            chosen = choose_splits(to_split, audit.near, shares, data.split_seed)
        else:
            chosen = choose_fold(to_split, audit.near, data)
        splits = in_order(audit.images, chosen, structure.classes)
        if data.corrections:
            audit, splits = without_excluded(audit, splits, corrections, structure.classes)
            table = corrections_table(corrections, structure, results)
            audit = replace(audit, counts=audit.counts | counts_of(table))
            write_csv(audit_folder / "corrections.csv", table)
            print(line_of(table, data.corrections))
        for split, images in splits.items():
            write_array(folder / f"{split}.npy", [image.pixels for image in images], limits.size)
        write_csv(folder / "manifest.csv", manifest_table(splits, structure.classes))
        write_csv(audit_folder / "images.csv", images_table(splits, audit.notes_by_image()))
        write_csv(audit_folder / "quarantine.csv", quarantine_table(audit.quarantine))
        (folder / "classes.json").write_text(json.dumps(structure.classes, ensure_ascii=False) + "\n", encoding="utf-8")
        if ranges:
            (folder / VALUE_RANGES).write_text(json.dumps(ranges) + "\n", encoding="utf-8")
        if resizing != USUAL_RESIZING:
            (folder / RESIZING).write_text(json.dumps(resizing) + "\n", encoding="utf-8")
        findings = counts(splits, audit, structure.classes)
        write_csv(audit_folder / "counts.csv", pd.DataFrame(findings.items(), columns=["finding", "count"]))
        write_csv(audit_folder / "shares.csv", class_shares := shares_table(splits, shares, chosen))
        write_csv(audit_folder / CLUSTERS.name, clusters_table(splits, audit.near))
        write_csv(audit_folder / "pixels.csv", pixels_table(splits["train"], limits.size))
        report(splits, audit)
        if data.fold is not None:
            print(f"data.fold: test is fold {data.fold} of {data.folds}, which count from 0")
        print_shares_missed(shares_missed(class_shares))
        print_if_untracked(data.root)
        for kind, (black, white) in ranges.items():
            print(
                f"data.value_range: in images of more than 8 bits, {kind} from {black:g} to {white:g} become 0 to 255"
            )
    write_json(METRICS, headline(findings))


if __name__ == "__main__":
    run(main)
