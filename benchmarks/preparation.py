"""Measure `prepare`: images per second beside a bare loop, memory as the data set grows, and a rerun.

    python -m benchmarks.preparation [FOLDER]

takes the JPEG files below FOLDER, or without it makes some of 500 x 375 pixels, and copies them, each with other
bytes at its end, into data sets of 1,000, 5,000 and 20,000 images. Each run is a process of its own, timed from start
to end; the bare loop and the stage take turns.
"""

import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests.conftest import PROJECT, change_params

PAIRS = 5
COMPARED = 5_000  # images
SMALL, LARGE = 1_000, 20_000  # images
CLASSES = ("ant", "bee")

BARE_LOOP = """
import sys
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 256
paths = sorted(Path(sys.argv[1]).rglob("*.jpg"))
array = np.lib.format.open_memmap(sys.argv[2], "w+", np.uint8, (len(paths), SIZE, SIZE, 3))
for i, path in enumerate(paths):
    image = Image.open(path).convert("RGB")
    short = min(image.size)
    width, height = (SIZE if side == short else int(SIZE * side / short) for side in image.size)
    left, top = round((width - SIZE) / 2), round((height - SIZE) / 2)
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    array[i] = np.asarray(resized.crop((left, top, left + SIZE, top + SIZE)))
array.flush()
"""


def make_photographs(folder: Path, count: int = 100) -> list[Path]:
    """Write JPEG files with about as many bytes as photographs of that size have."""
    for i in range(count):
        rng = np.random.default_rng(i)
        coarse = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).resize((500, 375), Image.BICUBIC)
        noisy = np.asarray(coarse).astype(int) + rng.integers(-12, 13, (375, 500, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / f"{i}.jpg", quality=90)
    return sorted(folder.glob("*.jpg"))


def write_data_set(root: Path, photographs: list[Path], count: int) -> None:
    """Copy the photographs, round after round, into class folders, each with other bytes at its end."""
    for class_name in CLASSES:
        (root / class_name).mkdir(parents=True)
    for i in range(count):
        contents = photographs[i % len(photographs)].read_bytes()
        # All copies of a photograph are of one class: they are near copies, and belong to one split.
        class_name = CLASSES[i % len(photographs) % 2]
        (root / class_name / f"{i:06}.jpg").write_bytes(contents + i.to_bytes(4, "big"))


@contextmanager
def workspace(photographs: list[Path], count: int) -> Iterator[Path]:
    """Give a folder with params.yaml and a flat data set, images/."""
    with tempfile.TemporaryDirectory() as name:
        shutil.copy(PROJECT / "params.yaml", name)
        change_params(Path(name), {"data.root": "images"})
        write_data_set(Path(name) / "images", photographs, count)
        yield Path(name)


def run(folder: Path, *command: str) -> tuple[float, int]:
    """Run Python in a folder; return the seconds, and the most memory of all its processes, in MiB."""
    start = time.perf_counter()
    with subprocess.Popen(
        [sys.executable, *command], cwd=folder, env={"PYTHONPATH": str(PROJECT)}, stdout=subprocess.DEVNULL
    ) as process:
        peak, watching = [0], True

        def watch() -> None:
            while watching:
                peak[0] = max(peak[0], memory_of(process.pid))
                time.sleep(0.25)

        thread = threading.Thread(target=watch)
        thread.start()
        status = process.wait()
        seconds = time.perf_counter() - start
        watching = False
        thread.join()
    assert status == 0, f"{command} ended with {status}"
    return seconds, peak[0] // 2**20


def memory_of(pid: int) -> int:
    """Return the memory of a process and those below it, in bytes; what several share counts once (PSS)."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for process in (parent, *parent.children(recursive=True)):
            total += process.memory_full_info().pss
    except psutil.Error:  # one has just ended
        pass
    return total


def forget(folder: Path) -> None:
    """Remove what a run has made."""
    for name in ("data", "metrics", ".cache"):
        shutil.rmtree(folder / name, ignore_errors=True)


def compare(photographs: list[Path]) -> None:
    """Print images per second of the stage and of the bare loop, in turns."""
    with workspace(photographs, COMPARED) as folder:
        (folder / "bare.py").write_text(BARE_LOOP)
        rates = {"bare": [], "prepare": []}
        for _ in range(PAIRS):
            rates["bare"].append(COMPARED / run(folder, "bare.py", "images", "bare.npy")[0])
            forget(folder)
            rates["prepare"].append(COMPARED / run(folder, "-m", "stages.prepare")[0])
    ratios = [prepare / bare for prepare, bare in zip(rates["prepare"], rates["bare"], strict=True)]
    print(f"{COMPARED} images, {PAIRS} pairs, {psutil.cpu_count()} cores, from a process's start to its end")
    for name, unit, values in (
        ("bare loop, one core", "images/s", rates["bare"]),
        ("prepare, all cores", "images/s", rates["prepare"]),
        ("prepare / bare loop", "", ratios),
        ("the same / cores", "", [ratio / psutil.cpu_count() for ratio in ratios]),
    ):
        print(f"| {name} | {min(values):.3g} | {statistics.median(values):.3g} | {max(values):.3g} | {unit} |")


def grow(photographs: list[Path]) -> None:
    """Print seconds and memory for a small and a large data set, and of a rerun after one added image."""
    for count in (SMALL, LARGE):
        with workspace(photographs, count) as folder:
            for what in ("first run", "run again", "run after one added image"):
                if what.endswith("added image"):
                    added = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
                    Image.fromarray(added).save(folder / "images" / CLASSES[0] / "added.jpg")
                seconds, peak = run(folder, "-m", "stages.prepare")
                print(f"| {count} images, {what} | {seconds:.1f} s | {count / seconds:.0f} images/s | {peak} MiB |")


def main() -> None:
    with tempfile.TemporaryDirectory() as made:
        if len(sys.argv) > 1:
            photographs = sorted(path for path in Path(sys.argv[1]).rglob("*") if path.suffix in (".jpg", ".jpeg"))
        else:
            photographs = make_photographs(Path(made))
        compare(photographs)
        grow(photographs)


if __name__ == "__main__":
    main()
