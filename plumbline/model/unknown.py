"""How far an image is from what the network was fine-tuned on, and whether it is unknown.

The distance is Mahalanobis's, of what the head takes, scaled to length 1, to the nearest class's mean over the training
images; the classes share one covariance. What it is computed from stands in the model file, in tensors whose names
begin with `unknown.`: `finetune` fits them. torch and the exported files run this same code.
Sources: Lee, Lee, Lee and Shin 2018, "A simple unified framework for detecting out-of-distribution samples and
adversarial attacks", arXiv:1807.03888; Mueller and Hein 2025, "Mahalanobis++", arXiv:2505.18032, for the length.
"""

from collections.abc import Mapping
from threading import get_ident

import torch
from torch import nn

from plumbline.model.conformal_counts import largest_count
from plumbline.model.val_images import PREFIX as OF_VAL
from plumbline.model.val_images import along
from plumbline.run.errors import UserError

PREFIX = "unknown."
NAMES = ("mean", "whitening", "centres", "val_distances")
ROUNDING = 1e-4  # of a distance: two computations of it differ by less


class UnknownScore(nn.Module):
    """The distance of an image's features, and what it says beside the distances of the val images."""

    def __init__(
        self, mean: torch.Tensor, whitening: torch.Tensor, centres: torch.Tensor, val_distances: torch.Tensor
    ) -> None:
        """Take the training features' mean (F,), what makes their covariance 1 (F, F), and, so whitened, the classes'
        means (C, F); and the distances of the val images (V,)."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("whitening", whitening)
        self.register_buffer("centres", centres)
        self.register_buffer("val_distances", val_distances)

    @property
    def val_images(self) -> int:
        """How many val images the p-values rest on."""
        return len(self.val_distances)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return the squared distances, float32 (N,), of features (N, F)."""
        directions = nn.functional.normalize(features.float(), dim=1)
        whitened = (directions - self.mean) @ self.whitening  # (N, F)
        products = whitened @ self.centres.T  # (N, C)
        squares = whitened.square().sum(dim=1, keepdim=True) - 2 * products + self.centres.square().sum(dim=1)
        return squares.min(dim=1).values

    def count(self, distances: torch.Tensor) -> torch.Tensor:
        """Return 1 + how many val images are at least as far away, int64 (N,): the numerators of the p-values.

        Where rounding could decide, a val image counts as farther.
        """
        nearer = distances * (1 - ROUNDING)
        return 1 + (self.val_distances >= nearer[:, None]).sum(dim=1)

    def p_known(self, distances: torch.Tensor) -> torch.Tensor:
        """Return the p-values, float32 (N,): how rarely a known image is as far away."""
        return self.count(distances).float() / (self.val_images + 1)

    def is_unknown(self, distances: torch.Tensor, keep: float) -> torch.Tensor:
        """Return whether images are unknown, bool (N,), where this share of the known ones is to be kept."""
        return self.count(distances) <= largest_count(keep, self.val_images)


class NetworkWithDistance(nn.Module):
    """A network that gives each image's logits (N, classes), and its distance (N,)."""

    def __init__(self, network: nn.Module, head: str, score: UnknownScore) -> None:
        super().__init__()
        self.network, self.head_input, self.score = network, HeadInput(network, head), score

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return both for inputs (N, 3, crop, crop)."""
        logits, features = self.head_input.beside_logits(self.network, inputs)
        return logits, self.score(features)

    def also_along(
        self, inputs: torch.Tensor, directions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return both, and the features along directions (F, K): (N, K)."""
        logits, features = self.head_input.beside_logits(self.network, inputs)
        return logits, self.score(features), along(features, directions)


class HeadInput:
    """What a network's head takes, kept for each thread by itself: several may run the network at once.

    The hook stays: torch's are not made to be added and removed while another thread runs the network.
    """

    def __init__(self, network: nn.Module, head: str) -> None:
        self.features = features_taken(network, head)
        self.taken: dict[int, list[torch.Tensor]] = {}  # by thread, while it runs the network here
        self.hook = network.get_submodule(head).register_forward_pre_hook(self._keep)

    def _keep(self, _: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        if get_ident() in self.taken:
            self.taken[get_ident()].append(arguments[0])

    def beside_logits(self, network: nn.Module, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the network's logits, and what its head takes: (N, F), of several places the mean."""
        taken = self.taken[get_ident()] = []
        try:
            return network(inputs), pooled(taken[-1], self.features)
        finally:
            del self.taken[get_ident()]

    def remove(self) -> None:
        """Take the hook off the network."""
        self.hook.remove()


def features_taken(network: nn.Module, head: str) -> int:
    """Return how many features the head takes."""
    return network.get_submodule(head).weight.shape[1]


def pooled(features: torch.Tensor, count: int) -> torch.Tensor:
    """Return features (N, F) for those of an image or, `count` in the first or else the last place, of its places."""
    if features.dim() == 2:
        return features
    if features.shape[1] == count:
        return features.flatten(2).mean(dim=2)
    return features.flatten(1, -2).mean(dim=1)


def network_tensors(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors of the network alone."""
    return {key: value for key, value in tensors.items() if not key.startswith((PREFIX, OF_VAL))}


def score_tensors(score: UnknownScore) -> dict[str, torch.Tensor]:
    """Return what a model file holds of a score."""
    return {f"{PREFIX}{name}": value for name, value in score.named_buffers()}


def score_of(tensors: Mapping[str, torch.Tensor], features: int) -> UnknownScore | None:
    """Return the score that a model's tensors hold for a head that takes so many features; None if they hold none.

    Raises UserError for tensors that are not those of a score.
    """
    stored = {key: value for key, value in tensors.items() if key.startswith(PREFIX)}
    if not stored:
        return None
    if set(stored) != {f"{PREFIX}{name}" for name in NAMES}:
        raise UserError(
            f"the model's score of unknown images has the tensors {', '.join(sorted(stored))[:200]}, and should have "
            f"{', '.join(PREFIX + name for name in NAMES)}: another program changed it"
        )
    mean, whitening, centres, val_distances = (stored[f"{PREFIX}{name}"] for name in NAMES)
    shapes = [tuple(value.shape) for value in stored.values()]
    if (
        any(value.dtype != torch.float32 for value in stored.values())
        or mean.shape != (features,)
        or whitening.shape != (features, features)
        or centres.dim() != 2
        or centres.shape[1] != features
        or val_distances.dim() != 1
        or not all(map(len, stored.values()))
    ):
        raise UserError(
            f"the model's score of unknown images has tensors of the shapes {str(shapes)[:200]}, which do not fit a "
            f"head that takes {features} features in float32: another program changed it"
        )
    return UnknownScore(mean, whitening, centres, val_distances)
