"""Read files that are damaged or made to do harm: is each used, or refused in one line, in little memory and time?

    python -m benchmarks.hostile_files [KIND [CASES]]

makes whole files of every form, changes each at random, with a fixed seed, and reads it as the stages do.
KIND is images, archives, weights or models; without it each has its turn, in a process of its own, so that the system
measures its memory. An exception that is not the user's line, a process that ends, or anything written outside of the
folder for an archive's contents is a fault: the file is kept, and the command fails.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from benchmarks.hostile_files import whole_files
from benchmarks.hostile_files.changes import cases
from benchmarks.hostile_files.whole_files import LIMITS, NETWORK
from plumbline.images.archives import extract
from plumbline.images.unreadable import Unreadable
from plumbline.run.errors import UserError
from stages.prepare.decoding import examine

CASES = {"images": 100_000, "archives": 10_000, "weights": 2_000, "models": 2_000}
KEPT = Path("hostile_files_kept")
COVERAGE = 0.5  # of prediction sets, which val's images set
MOST_SECONDS = 60.0  # of one case, as data.seconds_per_image
MOST_MEMORY = 2**29  # bytes, beside what is there once every whole file was read


def reader(kind: str, folder: Path) -> Callable[[bytes], None]:
    """Return what reads a case. It raises Unreadable or UserError for one that is refused."""
    if kind == "images":
        return lambda contents: examine(contents, LIMITS)
    path = folder / "case"

    def unpack() -> None:
        try:
            extract(path, folder / "out")
        finally:
            shutil.rmtree(folder / "out", ignore_errors=True)
            assert [found.name for found in folder.iterdir()] == ["case"], "it has written outside"

    def load() -> None:
        from stages.weights.tensor_names import weights_among
        from stages.weights.weight_file import read_dictionaries

        weights_among(read_dictionaries(path, "case"), NETWORK, "case")

    def classify() -> None:
        from plumbline import Classifier

        classifier = Classifier.load(path, coverage=COVERAGE)
        classifier([Image.linear_gradient("L")])

    read = {"archives": unpack, "weights": load, "models": classify}[kind]

    def written_and_read(contents: bytes) -> None:
        path.write_bytes(contents)
        read()

    return written_and_read


def tried(kind: str, count: int) -> dict[str, object]:
    """Read so many cases of a kind, and return how many were used and refused, the faults, the time and the memory."""
    outcomes: Counter[str] = Counter()
    faults, slowest = [], 0.0
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, of writing a format that it will drop, as well
        wholes = getattr(whole_files, f"whole_{kind}")()
        read = reader(kind, Path(name))
        for contents in wholes.values():
            read(contents)
        before = memory()
        for i, (form, contents) in enumerate(cases(wholes, count)):
            (KEPT / f"{kind}-now").write_bytes(contents)  # what a process that is ended leaves
            start = time.perf_counter()
            try:
                read(contents)
                outcomes["used"] += 1
            except (Unreadable, UserError) as error:
                outcomes["refused"] += 1
                if "\n" in str(error) and isinstance(error, UserError):
                    faults.append(f"{form}, case {i}: several lines")
            except Exception as error:
                faults.append(f"{form}, case {i}: {type(error).__name__}: {error}"[:300])
                (KEPT / f"{kind}-{i}").write_bytes(contents)
            seconds = time.perf_counter() - start
            slowest = max(slowest, seconds)
            if seconds > MOST_SECONDS:
                faults.append(f"{form}, case {i}: {seconds:.0f} s")
                (KEPT / f"{kind}-{i}").write_bytes(contents)
    (KEPT / f"{kind}-now").unlink()
    grown = memory() - before
    if grown > MOST_MEMORY:
        faults.append(f"{grown >> 20} MiB of memory")
    return {"forms": len(wholes), "cases": count, **outcomes, "slowest": slowest, "MiB": grown >> 20, "faults": faults}


def memory() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    KEPT.mkdir(exist_ok=True)
    if len(sys.argv) == 3:
        print(json.dumps(tried(sys.argv[1], int(sys.argv[2]))))
        return
    failed = False
    for kind in sys.argv[1:] or CASES:
        command = [sys.executable, "-m", "benchmarks.hostile_files", kind, str(CASES[kind])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        found = json.loads(done.stdout) if done.returncode == 0 else {"faults": [f"it ended with {done.returncode}"]}
        print(kind, ", ".join(f"{key} {value}" for key, value in found.items() if key != "faults"))
        for fault in found["faults"]:
            failed = True
            print(f"    fault: {fault}")
    if failed:
        sys.exit(f"the files are in {KEPT}")
    shutil.rmtree(KEPT)


if __name__ == "__main__":
    main()
