"""How fast a model is: the latency of one image, and images per second in batches."""

import statistics
import timeit
from collections.abc import Callable

import numpy as np

BATCH = 16  # images
SECONDS = 0.5  # of measuring each, about
FEWEST, MOST = 3, 100  # calls


def speed(name: str, answer: Callable[[np.ndarray], object], images: np.ndarray) -> dict[str, float]:
    """Return the latency of one image, in milliseconds, and images per second in batches; medians, all cores."""
    batch = images[np.arange(BATCH) % len(images)]
    return {
        f"{name}_latency_ms": round(1000 * median_seconds(answer, batch[:1]), 2),
        f"{name}_images_per_second": round(BATCH / median_seconds(answer, batch), 1),
    }


def median_seconds(answer: Callable[[np.ndarray], object], images: np.ndarray) -> float:
    """Return the median time of a call, after one warm-up call."""
    timer = timeit.Timer(lambda: answer(images))
    timer.timeit(1)
    calls = min(max(round(SECONDS / timer.timeit(1)), FEWEST), MOST)
    return statistics.median(timer.repeat(calls, 1))
