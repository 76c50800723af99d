"""Measure `prepare` on this machine's processes and on two Dask workers in turns, and what an image costs in memory.

    python -m benchmarks.executors [FOLDER [IMAGES [ROUNDS]]]

takes the JPEG files below FOLDER, or makes some, copies them as benchmarks/preparation.py does, and times the stage
with `data.executor: loky` and with two Dask workers of one thread each, started beforehand on this machine: whole
processes, without a cache. Then it makes the objects that stand for an image in `prepare`, and counts their bytes.
"""

import gc
import hashlib
import io
import random
import statistics
import sys
import tempfile
from pathlib import Path

import psutil

from benchmarks.preparation import forget, make_photographs, run, workspace
from stages.prepare.arrays_and_tables import images_table, manifest_table
from stages.prepare.decoding import Facts
from stages.prepare.folder_structure import Candidate
from stages.prepare.parallel_decoding import UsableImage
from stages.prepare.pixel_cache import Place
from tests.conftest import change_params
from tests.support.dask_cluster import cluster

IMAGES = 3_000
ROUNDS = 3
COUNTED = 100_000  # images whose objects are made


def digest(folder: Path) -> str:
    """Return a sha256 over everything that the stage wrote."""
    names = sorted([*(folder / "data" / "prepared").iterdir(), *(folder / "data" / "audit").iterdir()])
    return hashlib.sha256(b"".join(path.read_bytes() for path in names)).hexdigest()


def compare(photographs: list[Path], images: int, rounds: int) -> None:
    """Print images per second of the stage with each executor, in turns, on the same files."""
    with workspace(photographs, images) as folder, cluster(folder / "dask") as dask:
        rates, written = {"loky": [], "dask": []}, set()
        for _ in range(rounds):
            for executor, scheduler in (("loky", None), ("dask", dask.address)):
                change_params(folder, {"data.executor": executor, "data.scheduler": scheduler})
                forget(folder)
                rates[executor].append(images / run(folder, "-m", "stages.prepare")[0])
                written.add(digest(folder))
    assert len(written) == 1, "the executors wrote different bytes"
    ratios = [dask / loky for loky, dask in zip(rates["loky"], rates["dask"], strict=True)]
    print(f"{images} images, {rounds} rounds, {psutil.cpu_count()} cores; all runs wrote the same bytes")
    for name, unit, values in (
        ("loky, all cores", "images/s", rates["loky"]),
        ("dask, two workers", "images/s", rates["dask"]),
        ("dask / loky", "", ratios),
    ):
        print(f"| {name} | {min(values):.3g} | {statistics.median(values):.3g} | {max(values):.3g} | {unit} |")


def own_memory() -> int:
    """Return the bytes that this process holds for itself alone."""
    gc.collect()
    return psutil.Process().memory_full_info().uss


def objects(folder: Path) -> None:
    """Print how many bytes each image takes in prepare's first process, and in the tables."""
    classes = [f"class{i:03}" for i in range(1000)]
    start = own_memory()
    candidates = [candidate(folder, classes[i % 1000], i) for i in range(COUNTED)]
    listed = own_memory()
    with (folder / "pixels").open("wb") as file:
        images = [usable(candidates[i], Place(file, i * 256 * 256 * 3), i) for i in range(COUNTED)]
    read = own_memory()
    tables = manifest_table({"train": images}, classes), images_table({"train": images}, {})
    tabled = own_memory()
    text = io.StringIO()
    for table in tables:
        table.to_csv(text)
    for what, size in (
        ("what the folders hold", listed - start),
        ("facts and place of its pixels", read - listed),
        ("its rows of the manifest and of the audit, as tables", tabled - read),
        ("the same, as CSV", len(text.getvalue())),
        ("its pixels, on disk, and again in the cache", COUNTED * 256 * 256 * 3),
    ):
        print(f"| {what} | {size / COUNTED:,.0f} bytes |")


def candidate(folder: Path, class_name: str, i: int) -> Candidate:
    """Return what the layout knows of an image, its path about as long as ImageNet's."""
    name = f"train/{class_name}/n{i:013}.jpg"
    return Candidate(folder / name, name, "train", class_name, None)


def usable(of: Candidate, place: Place, i: int) -> UsableImage:
    """Return an image of which nothing is shared with another."""
    rng = random.Random(i)
    sha256 = hashlib.sha256(of.name.encode()).hexdigest()
    sums, squares = ([rng.getrandbits(bits) for _ in range(3)] for bits in (24, 31))
    shape = {"width": 500, "height": 375, "format": "JPEG", "mode": "RGB", "orientation": 1, "animated": False}
    absent = {"captured": "", "lowest": None, "highest": None}
    facts = Facts(
        sha256=sha256,
        **shape,
        **absent,
        perceptual_hash=rng.getrandbits(64),
        entropy=rng.random(),
        thumbnail=rng.randbytes(256).hex(),
        sums=sums,
        squares=squares,
    )
    return UsableImage(of, facts, place, "train")


def main() -> None:
    given = dict(enumerate(sys.argv[1:]))
    images, rounds = int(given.get(1, IMAGES)), int(given.get(2, ROUNDS))
    with tempfile.TemporaryDirectory() as made:
        photographs = sorted(Path(given[0]).rglob("*.jpg")) if given else make_photographs(Path(made))
        compare(photographs, images, rounds)
        objects(Path(made))


if __name__ == "__main__":
    main()
