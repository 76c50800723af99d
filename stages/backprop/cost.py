"""The cost of both passes of problem 1's network: multiply-adds (MACs), and milliseconds.

The MACs follow from a formula, from torch's count, and from counting each multiplication. The milliseconds, over a
grid of widths, are written to metrics/timing, because they vary.
"""

import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from torch.utils.flop_counter import FlopCounterMode

from plumbline.checks.claims import Checks
from plumbline.run.outputs import write_json
from stages.backprop import hidden_layer
from stages.backprop.hidden_layer import Activations, random_network

TIMING = Path("metrics/timing/backprop.json")

WIDEST = 64  # times: the ratio's curve goes from o = d / 64 to o = 64 d
COUNTED_SIZES = (3, 5, 4, 2)  # n, d, h, o of the network whose multiplications are counted one by one
MANY_INPUTS = (1, 784, 32, 10)  # n, d, h, o of a network on images of 28 x 28 pixels and ten classes
TIMED_WIDTHS = (32, 64, 128, 256, 512)  # d = h = o, of the passes that are timed
TIMED_SAMPLES = 256
TIMED_REPEATS = 5


def forward_macs(n: int, d: int, h: int, o: int) -> int:
    """Return the multiply-adds of the forward pass's matrix products: n d h + n h o."""
    return n * (d * h + h * o)


def backward_macs(n: int, d: int, h: int, o: int, *, input_gradient: bool) -> int:
    """Return the multiply-adds of the backward pass: h n o + n o h + d n h, and n h d for the input's gradient.

    Without it the ratio to the forward pass is 1 + o / (d + o), between 1 and 2; with it, exactly 2.
    """
    return n * (d * h + 2 * h * o) + (n * h * d if input_gradient else 0)


def ratio(d: int, h: int, o: int, *, input_gradient: bool) -> float:
    """Return what the backward pass costs relative to the forward pass; n cancels."""
    return backward_macs(1, d, h, o, input_gradient=input_gradient) / forward_macs(1, d, h, o)


def torch_macs(n: int, d: int, h: int, o: int, *, input_gradient: bool) -> tuple[int, int]:
    """Return the MACs of the forward and the backward pass as torch counts them: two FLOPs each."""
    X, W1, W2, y = random_network(n, d, h, o)
    with FlopCounterMode(display=False) as of_forward:
        kept = hidden_layer.forward(X, W1, W2)
    with FlopCounterMode(display=False) as of_backward:
        hidden_layer.backward(X, W1, W2, y, kept, input_gradient=input_gradient)
    return of_forward.get_total_flops() // 2, of_backward.get_total_flops() // 2


class Counted:
    """A number that counts the multiplications it takes part in."""

    multiplications = 0

    def __init__(self, value: float) -> None:
        self.value = value

    def __mul__(self, other: "Counted | float") -> "Counted":
        Counted.multiplications += 1
        return Counted(self.value * value_of(other))

    __rmul__ = __mul__

    def __add__(self, other: "Counted | float") -> "Counted":
        return Counted(self.value + value_of(other))

    __radd__ = __add__

    def __sub__(self, other: "Counted | float") -> "Counted":
        return Counted(self.value - value_of(other))

    def __rsub__(self, other: float) -> "Counted":
        return Counted(other - self.value)


def value_of(number: Counted | float) -> float:
    """Return the number as a float."""
    return number.value if isinstance(number, Counted) else number


def counted_multiplications(n: int, d: int, h: int, o: int, *, input_gradient: bool) -> tuple[int, int]:
    """Return the multiplications in the matrix products of both passes, counted one by one.

    Multiplications entry by entry (the 2 of dy_hat, n o times; u (1 - u), n h times each) are subtracted.
    """
    X, W1, W2, y = (np.vectorize(Counted, otypes=[object])(t.numpy()) for t in random_network(n, d, h, o))
    Counted.multiplications = 0
    u = X @ W1  # sigma multiplies nothing
    y_hat = u @ W2
    ahead, Counted.multiplications = Counted.multiplications, 0
    hidden_layer.backward(X, W1, W2, y, Activations(u, y_hat), input_gradient=input_gradient)
    return ahead, Counted.multiplications - n * o - 2 * n * h


def check_cost(checks: Checks, n: int, d: int, h: int, o: int) -> dict[str, int | float]:
    """Compare the formulas with both counts, and check "roughly 2 times"; return the metrics."""
    ahead = forward_macs(n, d, h, o)
    back, back_with_input = (backward_macs(n, d, h, o, input_gradient=wanted) for wanted in (False, True))
    for wanted, what in ((False, "without"), (True, "with")):
        for sizes in ((n, d, h, o), COUNTED_SIZES):
            by_formula = forward_macs(*sizes), backward_macs(*sizes, input_gradient=wanted)
            claim, where = f"MACs of both passes {what} the input's gradient", f"n, d, h, o = {sizes}"
            by_torch = torch_macs(*sizes, input_gradient=wanted)
            checks.expect_equal(by_formula, by_torch, f"{claim} are the same by formula and as torch counts", where)
        one_by_one = counted_multiplications(*COUNTED_SIZES, input_gradient=wanted)
        checks.expect_equal(by_formula, one_by_one, f"{claim} are the same by formula and counted one by one", where)
    _, inputs, _, outputs = MANY_INPUTS
    torchs = torch_macs(*MANY_INPUTS, input_gradient=False)
    claim = "the ratio without the input's gradient is 1 + o / (d + o), as torch counts"
    checks.expect_equal(torchs[1] * (inputs + outputs), torchs[0] * (inputs + 2 * outputs), claim, f"{MANY_INPUTS}")
    checks.expect_equal(back_with_input / ahead, 2.0, '"roughly 2 times" is 2 with the input\'s gradient')
    checks.expect(1 < back / ahead < 2, '"roughly 2 times" without it lies between 1 and 2', f"{back / ahead:.4f}")
    return {
        "forward_macs": ahead,
        "backward_macs": back,
        "backward_over_forward": back / ahead,
        "backward_macs_with_input_gradient": back_with_input,
        "backward_over_forward_with_input_gradient": back_with_input / ahead,
    }


def ratio_curve(checks: Checks) -> pd.DataFrame:
    """Return the ratio over the outputs per input: it rises from 1 to 2, and is 2 with the input's gradient."""
    powers = range(-WIDEST.bit_length() + 1, WIDEST.bit_length())
    widths = [(2**-power, 1) if power < 0 else (1, 2**power) for power in powers]  # d and o
    without, with_input = ([ratio(d, 1, o, input_gradient=w) for d, o in widths] for w in (False, True))
    rising = all(a < b for a, b in itertools.pairwise(without))
    near_limits = without[0] - 1 < 2 / WIDEST and 2 - without[-1] < 2 / WIDEST
    checks.expect(rising and near_limits, "the ratio rises with o / d", f"from {without[0]:.3f} to {without[-1]:.3f}")
    checks.expect(set(with_input) == {2.0}, "with the input's gradient the ratio is 2 for every width")
    outputs_per_input = [o / d for d, o in widths]
    return pd.concat(
        [
            pd.DataFrame({"outputs_per_input": outputs_per_input, "ratio": ratios, "backward_pass": name})
            for name, ratios in (("without the input's gradient", without), ("with the input's gradient", with_input))
        ]
    )


def measure_passes() -> None:
    """Write the median milliseconds of both passes for each width, in float64, and their ratio."""
    values = {}
    for width in TIMED_WIDTHS:
        X, W1, W2, y = hidden_layer.random_network(TIMED_SAMPLES, width, width, width)
        kept = hidden_layer.forward(X, W1, W2)
        forward = milliseconds(hidden_layer.forward, X, W1, W2)
        backward = milliseconds(hidden_layer.backward, X, W1, W2, y, kept, input_gradient=True)
        values[f"forward_ms_width_{width}"] = round(forward, 3)
        values[f"backward_ms_width_{width}"] = round(backward, 3)
        values[f"backward_over_forward_width_{width}"] = round(backward / forward, 2)
    write_json(TIMING, values)


def milliseconds(work: Callable[..., object], *arguments: object, **options: object) -> float:
    """Return the median time of `TIMED_REPEATS` calls of `work` with these arguments."""
    times = []
    for _ in range(TIMED_REPEATS):
        start = time.perf_counter()
        work(*arguments, **options)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
