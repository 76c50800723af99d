"""Check problem 1's answers: against autograd, on a random network whose four sizes are all different."""

from collections.abc import Callable

import torch

from stages.backprop.derivation_checks import SIZES, autograds_gradients
from stages.backprop.hidden_layer import Activations, forward, random_network
from tools.exercise.verdicts import difference, same

SAMPLES, _, _, OUTPUTS = SIZES
MEANS = {
    "1/n: the loss is a sum over the samples": 1 / SAMPLES,
    "1/(n o): the loss is a sum, and no mean": 1 / (SAMPLES * OUTPUTS),
}


def network() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return X, W1, W2 and y, the same ones in each check."""
    torch.manual_seed(0)
    return random_network(*SIZES)


def values() -> tuple[Activations, dict[str, torch.Tensor]]:
    """Return u and y_hat, and autograd's derivative of L by each value."""
    X, W1, W2, y = network()
    return forward(X, W1, W2), autograds_gradients(X, W1, W2, y)


def of_y_hat(answer: Callable) -> str | None:
    """Return what is off with dL/dy_hat."""
    kept, right = values()
    halved = {"a factor of the power rule": 0.5}
    return difference(answer(kept.y_hat, network()[3]), right["y_hat"], halved | MEANS)


def of_w2(answer: Callable) -> str | None:
    """Return what is off with dL/dW2."""
    kept, right = values()
    return difference(answer(kept.u, right["y_hat"]), right["W2"], MEANS)


def of_w1(answer: Callable) -> str | None:
    """Return what is off with dL/dW1."""
    return difference(answer(network()[0], values()[1]["Z"]), values()[1]["W1"], MEANS)


def of_outputs(answer: Callable) -> str | None:
    """Return what is off with u and y_hat."""
    X, W1, W2, _ = network()
    pair, kept = answer(X, W1, W2), values()[0]
    if not isinstance(pair, tuple) or len(pair) != 2:
        return "returns no pair: u and y_hat"
    if same(pair[0], X @ W1):
        return "u is Z: the sigmoid is missing"
    if same(pair[0], torch.sigmoid(-X @ W1)):
        return "u is the sigmoid of -Z: a sign is off in the exponent"
    for name, theirs, right in (("u", pair[0], kept.u), ("y_hat", pair[1], kept.y_hat)):
        if words := difference(theirs, right):
            return f"{name} {words}"
    return None


def of_z(answer: Callable) -> str | None:
    """Return what is off with dL/dZ; the usual mistakes with the sigmoid's derivative are known by their values."""
    kept, right = values()
    u, du = kept.u, right["u"]
    theirs = answer(u, network()[2], right["y_hat"])
    if same(theirs, du):
        return "is dL/du: the derivative of the sigmoid is missing"
    sigmoid_twice = torch.sigmoid(u)
    if same(theirs, du * sigmoid_twice * (1 - sigmoid_twice)):
        return "has the sigmoid's derivative at u: u is the sigmoid already"
    if same(theirs, du * u) or same(theirs, du * (1 - u)):
        return "has one of two factors of the sigmoid's derivative alone"
    if same(theirs, du * u * u * (1 - u)):
        return "has the sigmoid's derivative, and a sigmoid more"
    return difference(theirs, right["Z"])


CHECKS = {
    "outputs": of_outputs,
    "gradient_of_y_hat": of_y_hat,
    "gradient_of_w2": of_w2,
    "gradient_of_z": of_z,
    "gradient_of_w1": of_w1,
}
