"""Write how long a stage took: metrics/timing/<stage>.json, which varies and on which nothing depends."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.run.outputs import write_json

FOLDER = Path("metrics/timing")


@contextmanager
def timed(stage: str, images: int | None = None) -> Iterator[dict[str, float]]:
    """Time the block; `images` is how many images it works through, each pass counted.

    Gives a dictionary, to which the block may add what else it measures, `images` too.
    """
    measured = {} if images is None else {"images": images}
    start = time.perf_counter()
    yield measured
    seconds = time.perf_counter() - start
    if "images" in measured:
        measured["images_per_second"] = round(measured.pop("images") / seconds, 1)
    write_json(FOLDER / f"{stage}.json", {"seconds": round(seconds, 2)} | measured | {"peak_memory_mib": peak_memory()})


def peak_memory() -> int:
    """Return the most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB
