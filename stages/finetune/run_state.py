"""Everything that the rest of a training run follows from: what a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from plumbline.model.networks import load_tensors
from stages.finetune.distributed import SINGLE_PROCESS, Distributed

Tensors = dict[str, torch.Tensor]
History = list[dict[str, float]]  # one row an epoch that is complete; before them, if it is so, the probe's
IN_AVERAGE = "module."  # what AveragedModel puts in front of the network's names


@dataclass
class Progress:
    """Where a run stands. Plain numbers and lists, and the epoch's order."""

    epoch: int = 0
    order: torch.Tensor | None = None  # of the training images in this epoch; None until it is drawn
    position: int = 0  # training images of this epoch that have been seen
    step: int = 0  # updates so far
    loss_sum: float = 0.0  # over the images seen in this epoch, each times its weight
    weight_sum: float = 0.0  # of these images; how many they are, where each counts once
    correct: int = 0
    history: History = field(default_factory=list)
    nondeterministic: list[str] = field(default_factory=list)  # operations that torch cannot repeat to the bit

    def images_seen(self, images_per_epoch: int) -> int:
        """Return how many images were trained on since the start, each epoch's counted."""
        return self.epoch * images_per_epoch + self.position


@dataclass
class Run:
    """A network in training, with all that changes along the way."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    ema: AveragedModel | None = None  # of the weights, if it is asked for
    progress: Progress = field(default_factory=Progress)
    best: Tensors | None = None  # of the epoch to keep, if that is not the last
    trained_keys: frozenset[str] | None = None  # of the tensors that can change now; None for all

    @property
    def validated_network(self) -> nn.Module:
        """The network that is validated and written: the moving average, if there is one."""
        return self.network if self.ema is None else self.ema.module

    def train_all(self) -> None:
        """Let every parameter learn."""
        self.network.requires_grad_(True)
        self.trained_keys = None

    def train_only(self, keys: frozenset[str]) -> None:
        """Let these parameters learn, and no others."""
        for key, parameter in self.network.named_parameters():
            parameter.requires_grad_(key in keys)
        self.trained_keys = keys

    def changing(self, tensors: Mapping[str, torch.Tensor], prefix: str = "") -> Tensors:
        """Return those tensors that can change now; frozen ones are as they were when the run began."""
        keys = self.trained_keys
        return {
            key: value
            for key, value in tensors.items()
            if keys is None or not key.startswith(prefix) or key.removeprefix(prefix) in keys
        }

    def keep_best(self, *, everything: bool) -> None:
        """Keep a copy of the weights that were validated: all of them, or those that can change."""
        tensors = self.validated_network.state_dict()
        kept = tensors if everything else self.changing(tensors)
        self.best = {key: value.clone() for key, value in kept.items()}

    def kept_tensors(self) -> Tensors:
        """Return the weights to write, in float32: the best epoch's, if one was kept, else those validated last."""
        tensors = self.validated_network.state_dict() | (self.best or {})
        return {key: value.float() if value.is_floating_point() else value for key, value in tensors.items()}

    def state(self, distributed: Distributed = SINGLE_PROCESS) -> dict[str, object]:
        """Return everything that a checkpoint has to hold: tensors and plain values alone. All processes must ask."""
        return {
            "network": self.changing(self.network.state_dict()),
            "ema": None if self.ema is None else self.changing(self.ema.state_dict(), IN_AVERAGE),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(self.progress),
            "best": self.best,
            "random": distributed.all_gather(random_state()),
        }

    def restore(self, state: dict[str, object], distributed: Distributed = SINGLE_PROCESS) -> None:
        """Put the run, as it was when it began, where it stood when the state was taken."""
        load_tensors(self.network, state["network"])
        if self.ema is not None:
            load_tensors(self.ema, state["ema"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.progress = Progress(**state["progress"])
        self.best = state["best"]
        set_random_state(state["random"][distributed.rank])


def random_state() -> dict[str, torch.Tensor | None]:
    """Return the state of every random generator that training draws from: torch's, and this process's GPU's."""
    return {
        "cpu": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def set_random_state(state: dict[str, torch.Tensor | None]) -> None:
    """Set every random generator to a state that `random_state` gave."""
    torch.set_rng_state(state["cpu"])
    if state["cuda"] is not None:
        torch.cuda.set_rng_state(state["cuda"])
