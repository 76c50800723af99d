"""Measure how long both passes of problem 1's network take over a grid of widths: metrics/timing, which varies."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path

from plumbline.run.outputs import write_json
from stages.backprop import hidden_layer

TIMING = Path("metrics/timing/backprop.json")

WIDTHS = (32, 64, 128, 256, 512)  # d = h = o
SAMPLES = 256
REPEATS = 5


def measure_passes() -> None:
    """Write the median milliseconds of both passes for each width, in float64, and their ratio."""
    values = {}
    for width in WIDTHS:
        X, W1, W2, y = hidden_layer.random_network(SAMPLES, width, width, width)
        kept = hidden_layer.forward(X, W1, W2)
        forward = milliseconds(hidden_layer.forward, X, W1, W2)
        backward = milliseconds(hidden_layer.backward, X, W1, W2, y, kept, input_gradient=True)
        values[f"forward_ms_width_{width}"] = round(forward, 3)
        values[f"backward_ms_width_{width}"] = round(backward, 3)
        values[f"backward_over_forward_width_{width}"] = round(backward / forward, 2)
    write_json(TIMING, values)


def milliseconds(work: Callable[..., object], *arguments: object, **options: object) -> float:
    """Return the median time of a few calls of `work` with these arguments."""
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work(*arguments, **options)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
