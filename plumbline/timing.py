"""Write how long a stage took: metrics/timing/<stage>.json, which varies and on which nothing depends."""

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from plumbline.outputs import write_json

FOLDER = Path("metrics/timing")


@contextmanager
def timed(stage: str, images: int | None = None) -> Iterator[None]:
    """Time the block; `images` is how many images it works through, each pass counted."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    rate = {"images_per_second": round(images / seconds, 1)} if images else {}
    write_json(FOLDER / f"{stage}.json", {"seconds": round(seconds, 2)} | rate | {"peak_memory_mib": peak_memory()})


def peak_memory() -> int:
    """Return the most memory that this process has held so far, in MiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (2**20 if sys.platform == "darwin" else 2**10)  # macOS counts bytes, Linux KiB
