"""One number that makes the probabilities true on val: the temperature that divides the logits.

Source: Guo, Pleiss, Sun and Weinberger 2017, "On calibration of modern neural networks", arXiv:1706.04599.
"""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import nn

COLDEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the temperature with the least log loss on logits, float64 (N, classes), and labels (N,).

    The loss is convex in the temperature's inverse. Where every image is right there is no minimum: the colder the
    better, as if no mistake were ever to come. That is 1.
    """
    if torch.equal(logits.argmax(dim=1), labels):
        return 1.0

    def loss(log_temperature: float) -> float:
        return nn.functional.cross_entropy(logits / math.exp(log_temperature), labels).item()

    result = minimize_scalar(
        loss, bounds=(math.log(COLDEST), math.log(HOTTEST)), method="bounded", options={"xatol": 1e-9}
    )
    return math.exp(result.x)


def caveat(temperature: float, logits: torch.Tensor, labels: torch.Tensor) -> str | None:
    """Return a line where the temperature that was fitted on val says little; None where it is one like others."""
    if torch.equal(logits.argmax(dim=1), labels):
        return "every val image is classified right: too few mistakes to fit a temperature, it stays 1"
    for bound in (COLDEST, HOTTEST):
        if math.isclose(temperature, bound, rel_tol=1e-3):
            return (
                f"the temperature that fits val best is beyond {bound:g}, where the search ends: the probabilities say "
                "little of how sure the model is"
            )
    return None
