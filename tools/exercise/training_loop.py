"""Check problem 4's answers: both phases on a small network that notes what is done with it.

It has a layer that differs between training and evaluation, and the last batch is smaller. The right weights are those
of torch's SGD on the same batches.
"""

import copy
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from tools.exercise.verdicts import difference, same

BATCHES, CLASSES, FEATURES, LR = (4, 4, 2), 3, 5, 0.1


class Watched(nn.Module):
    """A network that notes at each forward pass whether it is in training mode, and whether gradients are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(FEATURES, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, CLASSES))
        self.modes: list[bool] = []
        self.kept: list[bool] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.modes.append(self.training)
        self.kept.append(torch.is_grad_enabled())
        return self.layers(x)


Batches = list[tuple[torch.Tensor, torch.Tensor]]


def task() -> tuple[Watched, Batches]:
    """Return the network and the batches, the same ones in each check."""
    torch.manual_seed(0)
    network = Watched().double()
    return network, [
        (torch.randn(size, FEATURES, dtype=torch.float64), torch.randint(CLASSES, (size,))) for size in BATCHES
    ]


def of_training(answer: Callable) -> str | None:
    """Return what is off with the training phase."""
    network, batches = task()
    theirs = copy.deepcopy(network).eval()  # as the val phase before has left it
    before = weights_of(theirs)
    results = answer(theirs, iter(batches), torch.optim.SGD(theirs.parameters(), lr=LR))
    right, losses, accuracy = trained(network, batches)
    after = weights_of(theirs)
    if len(theirs.modes) != len(batches):
        return f"runs the network {len(theirs.modes)} times for {len(batches)} batches"
    if not all(theirs.modes):
        return "runs the network in evaluation mode"
    if same(after, before):
        return "changes no weight: is there a backward pass, and a step?"
    if same(after, trained(network, batches, forget=True)[0]):
        return "adds each batch's gradient to those before: they are never set to zero"
    if words := difference(after, right):
        return f"ends with other weights: what they hold {words}"
    return of_results(results, losses, accuracy)


def of_evaluation(answer: Callable) -> str | None:
    """Return what is off with the evaluation phase."""
    network, batches = task()
    theirs = copy.deepcopy(network).train()  # as the training phase before has left it
    before = copy.deepcopy(theirs.state_dict())
    results = answer(theirs, iter(batches))
    if any(theirs.modes):
        return "runs the network in training mode"
    if any(theirs.kept):
        return "keeps what a backward pass would need, which takes memory and time: torch can do without"
    changed = [key for key, value in theirs.state_dict().items() if not torch.equal(value, before[key])]
    if changed:
        return f"changes the network: {changed[0]}"
    reference = copy.deepcopy(network).eval()
    with torch.no_grad():
        outputs = [reference(images) for images, _ in batches]
    losses = [functional.cross_entropy(logits, y) for logits, (_, y) in zip(outputs, batches, strict=True)]
    return of_results(results, losses, right_share(outputs, batches))


def trained(network: Watched, batches: Batches, *, forget: bool = False) -> tuple[torch.Tensor, list, float]:
    """Return the weights after an epoch of SGD, each batch's loss, and the share that was right meanwhile.

    With `forget` no gradient is set to zero.
    """
    network = copy.deepcopy(network).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=LR)
    losses, outputs = [], []
    for images, labels in batches:
        if not forget:
            optimiser.zero_grad()
        logits = network(images)
        loss = functional.cross_entropy(logits, labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
        outputs.append(logits.detach())
    return weights_of(network), losses, right_share(outputs, batches)


def weights_of(network: nn.Module) -> torch.Tensor:
    """Return all parameters as one vector."""
    return torch.cat([parameter.detach().flatten().clone() for parameter in network.parameters()])


def right_share(outputs: list[torch.Tensor], batches: Batches) -> float:
    """Return the share of images that is classified right."""
    right = sum(int((logits.argmax(1) == y).sum()) for logits, (_, y) in zip(outputs, batches, strict=True))
    return right / sum(BATCHES)


def of_results(results: object, losses: list[torch.Tensor], accuracy: float) -> str | None:
    """Return what is off with the loss and the accuracy that a phase returns."""
    if not isinstance(results, tuple) or len(results) != 2:
        return "returns no pair: loss and accuracy"
    sizes = torch.tensor(BATCHES, dtype=torch.float64)
    of_batch = torch.stack(losses)
    images = float(sizes.sum())
    mean = float((of_batch * sizes).sum() / images)
    if same(results[0], float(of_batch.mean())):
        return "averages the loss over the batches, of which the last is smaller: average over the images"
    if same(results[0], float(of_batch.sum() / images)):
        return "adds up means of batches, which cross_entropy gives, and divides by the number of images"
    if same(results[0], float(of_batch[-1])):
        return "returns the last batch's loss"
    scales = {"the sum over the images, and not the mean": images, "a sum of batches over the images": 1 / BATCHES[0]}
    if words := difference(results[0], mean, scales):
        return f"the loss {words}"
    if same(results[1], 100 * accuracy):
        return "the accuracy is in percent: return a share"
    if same(results[1], images * accuracy):
        return "the accuracy is a number of images: return a share"
    return f"the accuracy {words}" if (words := difference(results[1], accuracy)) else None


CHECKS = {"train_phase": of_training, "val_phase": of_evaluation}
