"""Measure the join of a table of labels with the files, and the audit of what it gives, without reading an image.

    python -m benchmarks.label_tables

makes 10,000 and 100,000 empty files, with a table of which every other row has the file's name alone, without its
suffix. Each run is a process of its own, and the two sizes take turns. The facts of the images are made up; near copies
are not looked for.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from plumbline.run import params_file
from stages.prepare.__main__ import Params
from stages.prepare.audit import audit_images
from stages.prepare.decoding import THUMBNAIL, Facts
from stages.prepare.labelled_files import labelled_structure
from stages.prepare.parallel_decoding import UsableImage

PROJECT = Path(__file__).parents[1]
ROUNDS = 5
SIZES = (10_000, 100_000)
MEASURED = ("join, s", "join, CPU s", "audit, s", "audit, CPU s", "MiB before", "MiB joined")
CLASSES, FOLDERS = 100, 50
PARAMS = {"data.root": "images", "data.labels": "labels.csv", "data.near_distance": None}


def make(folder: Path, rows: int) -> None:
    """Write empty files in folders, and a table of them: every other row has the file's name alone, without suffix."""
    from tests.conftest import change_params  # imports torch, whose memory would count

    (folder / "params.yaml").write_bytes((PROJECT / "params.yaml").read_bytes())
    change_params(folder, PARAMS)
    lines = ["id,breed"]
    for i in range(rows):
        name = f"{i % FOLDERS}/{i:08x}"
        path = folder / "images" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        lines.append(f"{name}.jpg,breed {i % CLASSES}" if i % 2 else f"{i:08x},breed {i % CLASSES}")
    (folder / "labels.csv").write_text("\n".join(lines))


def facts(rng: np.random.Generator, i: int) -> Facts:
    """Return the facts of an image that is like no other."""
    return Facts(
        sha256=f"{i:064x}", width=500, height=375, format="JPEG", mode="RGB", orientation=1, animated=False,
        captured="", lowest=None, highest=None, perceptual_hash=int(rng.integers(2**63)), entropy=5.0,
        thumbnail=rng.bytes(THUMBNAIL**2).hex(), sums=[1, 1, 1], squares=[1, 1, 1],
    )  # fmt: skip


def peak() -> float:
    """Return the most memory that this process has had, in MiB, from Linux; `resource` counts its parent's too."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measure() -> None:
    """Print what MEASURED names."""
    data = params_file.load(Params).data
    before, start, start_cpu = peak(), time.perf_counter(), time.process_time()
    structure = labelled_structure(Path(data.root), data)
    join, join_cpu, after = time.perf_counter() - start, time.process_time() - start_cpu, peak()
    rng = np.random.default_rng(0)
    images = [UsableImage(c, facts(rng, i), None, None) for i, c in enumerate(structure.candidates)]
    start, start_cpu = time.perf_counter(), time.process_time()
    audit = audit_images(structure, images, data, to_choose={"val", "test"}, fit="crop")
    print(join, join_cpu, time.perf_counter() - start, time.process_time() - start_cpu, before, after)
    assert len(audit.images) == len(structure.candidates)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folders = {rows: Path(name, str(rows)) for rows in SIZES}
        for rows, folder in folders.items():
            folder.mkdir()
            make(folder, rows)
        found: dict[int, list[list[float]]] = {rows: [] for rows in SIZES}
        for _ in range(ROUNDS):
            for rows, folder in folders.items():
                command = [sys.executable, "-c", "import benchmarks.label_tables as own; own.measure()"]
                environment = os.environ | {"PYTHONPATH": str(PROJECT)}
                done = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
                found[rows].append([float(value) for value in done.stdout.split()])
        for rows, runs in found.items():
            for what, values in zip(MEASURED, zip(*runs, strict=True), strict=True):
                least, median, most = min(values), statistics.median(values), max(values)
                print(f"{rows:>7,} rows, {what:<12}: {least:.2f} {median:.2f} {most:.2f}")


if __name__ == "__main__":
    main()
