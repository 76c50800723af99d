"""Everything that the rest of a training run follows from: what a checkpoint holds."""

from dataclasses import asdict, dataclass, field

import torch
from torch import nn


@dataclass
class Progress:
    """Where a run stands. Plain numbers and lists, and the epoch's order."""

    epoch: int = 0
    order: torch.Tensor | None = None  # of the training images in this epoch; None until it is drawn
    position: int = 0  # training images of this epoch that have been seen
    step: int = 0  # updates so far
    loss_sum: float = 0.0  # over the images seen in this epoch
    correct: int = 0
    history: list[dict[str, float]] = field(default_factory=list)  # one row an epoch that is complete


@dataclass
class Run:
    """A network in training, with all that changes along the way."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    progress: Progress

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint has to hold: tensors and plain values alone."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
            "random": random_state(),
        }

    def restore(self, state: dict[str, object]) -> None:
        """Put the run where it stood when the state was taken."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])
        set_random_state(state["random"])


def random_state() -> dict[str, torch.Tensor | list[torch.Tensor]]:
    """Return the state of every random generator that training draws from."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, torch.Tensor | list[torch.Tensor]]) -> None:
    """Set every random generator to a state that `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
