"""The distance is Mahalanobis's, and of images drawn like the val images no more are unknown than was promised."""

import math
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis
from torch import nn

from plumbline.model import conformal_counts, unknown
from plumbline.model.conformal_counts import images_needed, largest_count, too_few_images
from plumbline.model.model_file import Model, read_model, write_model
from plumbline.model.unknown import HeadInput, NetworkWithDistance, UnknownScore
from plumbline.run.errors import UserError
from tests.support.models import small_model, with_score
from tests.support.planted import planted


@pytest.fixture(scope="module")
def scored() -> Model:
    """A small model with a score."""
    return with_score(small_model())


def score_beside(val_distances: list[float], module: types.ModuleType = unknown) -> UnknownScore:
    """Return a score of one feature, of which the val distances alone matter."""
    return module.UnknownScore(
        torch.zeros(1), torch.eye(1), torch.zeros(1, 1), torch.tensor(val_distances, dtype=torch.float32)
    )


def test_the_distance_is_scipys_to_the_nearest_class() -> None:
    chance = np.random.default_rng(0)
    whitening, centres, mean = chance.normal(size=(5, 5)), chance.normal(size=(3, 5)), chance.normal(size=5)
    features = chance.normal(size=(7, 5))
    score = UnknownScore(*(torch.tensor(each).float() for each in (mean, whitening, centres, np.zeros(1))))
    found = score(torch.tensor(features).float())
    precision = whitening @ whitening.T
    means = centres @ np.linalg.inv(whitening) + mean
    directions = features / np.linalg.norm(features, axis=1, keepdims=True)
    wanted = [min(mahalanobis(each, own, precision) ** 2 for own in means) for each in directions]
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize(
    "head", [nn.Linear(3, 2), nn.Conv2d(3, 2, 1)], ids=["a head of each place's features", "a head of feature maps"]
)
def test_of_several_places_the_mean_is_taken(head: nn.Module) -> None:
    inputs = torch.arange(24.0).view(2, 2, 2, 3)  # two images of four places with three features
    inputs = inputs if isinstance(head, nn.Linear) else inputs.permute(0, 3, 1, 2)
    network = nn.Sequential(head)
    found = HeadInput(network, "0").beside_logits(network, inputs)[1]
    assert found.tolist() == [[4.5, 5.5, 6.5], [16.5, 17.5, 18.5]]


class Meeting(nn.Module):
    """A network whose passes end together: each waits until another thread's has been through the head."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 2, bias=False)
        nn.init.eye_(self.fc.weight)
        self.barrier = Barrier(2, timeout=60)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        logits = self.fc(inputs)
        self.barrier.wait()
        return logits


def test_threads_that_run_one_network_at_once_each_get_their_own_distance_and_features() -> None:
    # Of length 1 the features are (1, 0) and (0, 1); the only class is at (1, 0): the squared distances are 0 and 2.
    score = UnknownScore(torch.zeros(2), torch.eye(2), torch.tensor([[1.0, 0.0]]), torch.zeros(1))
    network = NetworkWithDistance(Meeting(), "fc", score)
    with ThreadPoolExecutor(2) as threads:
        inputs = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 5.0]])
        alike = [each.tolist() for found in threads.map(network, inputs) for each in found]
        along = [found[2].tolist() for found in threads.map(network.also_along, inputs, [torch.eye(2)] * 2)]
    assert alike == [[[3.0, 0.0]], [0.0], [[0.0, 5.0]], [2.0]]
    assert along == [[[1.0, 0.0]], [[0.0, 1.0]]]


def test_p_values_and_decisions_are_those_worked_by_hand() -> None:
    # Nine val images at 1 to 9. At 9.5 none is as far: (1 + 0) / 10. At 8.5 one is: 2 / 10. At 0.5 all are: 10 / 10.
    score, distances = score_beside([float(i) for i in range(1, 10)]), torch.tensor([9.5, 8.5, 0.5])
    assert score.p_known(distances).tolist() == pytest.approx([0.1, 0.2, 1.0])
    assert score.is_unknown(distances, 0.9).tolist() == [True, False, False]  # 0.1 <= 1 - 0.9, exactly
    assert score.is_unknown(distances, 0.8).tolist() == [True, True, False]
    assert score.is_unknown(distances, 0.95).tolist() == [False] * 3
    assert score.is_unknown(torch.tensor([math.inf, math.nan]), 0.9).tolist() == [True, True]


@pytest.mark.parametrize(("keep", "needed"), [(0.95, 19), (0.9, 9), (0.99, 99), (0.5, 1), (0.8, 4), (0.999, 999)])
def test_too_few_val_images_reject_nothing_and_a_line_says_how_many_would(keep: float, needed: int) -> None:
    assert images_needed(keep) == needed
    assert (largest_count(keep, needed - 1), largest_count(keep, needed)) == (0, 1)
    assert too_few_images(keep, needed) is None
    assert f"takes {needed} val images, and there are {needed - 1}" in too_few_images(keep, needed - 1)
    far = torch.tensor([1e9])
    assert not score_beside([1.0] * (needed - 1)).is_unknown(far, keep)
    assert score_beside([1.0] * needed).is_unknown(far, keep)


def refuse_other_rates(score: Callable[[list[float]], UnknownScore]) -> None:
    """Assert that of n + 1 images, each once the new one, as many as may be are unknown, and those the farthest.

    All orders of exchangeable images are alike: the share of the n + 1 is the probability, exactly.
    """
    for images in (8, 9, 10, 18, 19, 20, 39, 40, 99):
        for keep in (0.5, 0.8, 0.9, 0.95):
            distances = [float(i) for i in range(1, images + 2)]
            unknowns = [
                own
                for i, own in enumerate(distances)
                if score(distances[:i] + distances[i + 1 :]).is_unknown(torch.tensor([own]), keep)
            ]
            share = Fraction(len(unknowns), images + 1)
            allowed = 1 - Fraction(str(keep))
            assert share <= allowed < share + Fraction(1, images + 1), (images, keep, unknowns)
            assert unknowns == distances[images + 1 - len(unknowns) :]


def test_of_exchangeable_images_the_promised_share_is_unknown_and_those_are_the_farthest() -> None:
    refuse_other_rates(score_beside)


FAULTS = {
    "the quantile off by one": ("unknown", "<= largest_count(", "<= 1 + largest_count("),
    "the quantile off by one, to the safe side": ("unknown", "<= largest_count(", "< largest_count("),
    "the sides swapped": ("unknown", "self.val_distances >= nearer", "self.val_distances <= nearer"),
    "no 1 for the image itself": ("unknown", "return 1 + (self", "return (self"),
    "no 1 among the val images": ("conformal_counts", "(val_images + 1)", "val_images"),
    "a share in floating point": ("conformal_counts", "(1 - Fraction(str(keep))) * (", "(1 - keep) * ("),
    "the kept share rejected": ("conformal_counts", "(1 - Fraction(str(keep))) * (", "Fraction(str(keep)) * ("),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    name, *texts = FAULTS[fault]
    faulty = planted(unknown, *texts if name == "unknown" else ())
    if name == "conformal_counts":
        faulty.largest_count = planted(conformal_counts, *texts).largest_count
    with pytest.raises(AssertionError):
        refuse_other_rates(lambda distances: score_beside(distances, faulty))


def test_rounding_calls_no_val_image_unknown_that_is_at_the_threshold() -> None:
    score = score_beside([float(i) for i in range(1, 20)])
    assert score.is_unknown(torch.tensor([19.0, 19.0 * (1 + 1e-6), 19.1]), 0.95).tolist() == [False, False, True]


@pytest.mark.medium
def test_a_model_keeps_its_score_in_its_file_and_is_the_same_network(tmp_path: Path, scored: Model) -> None:
    plain, model = small_model(), scored
    write_model(tmp_path / "m.safetensors", model)
    again = read_model(tmp_path / "m.safetensors")
    assert again.has_score and not plain.has_score
    assert plain.network_with_distance() is None
    assert {key for key in set(model.tensors) - set(plain.tensors) if not key.startswith("val.")} == {
        "unknown.mean", "unknown.whitening", "unknown.centres", "unknown.val_distances",
    }  # fmt: skip
    score = again.network_with_distance().score
    for name, value in score.named_buffers():
        assert torch.equal(value, model.tensors[f"unknown.{name}"])
    wanted = plain.network().state_dict()
    for key, value in again.network().state_dict().items():
        assert torch.equal(value, wanted[key])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mean", torch.zeros(511)),
        ("mean", torch.zeros(512, dtype=torch.float64)),
        ("mean", torch.zeros(512, dtype=torch.int64)),
        ("whitening", torch.zeros(512)),
        ("whitening", torch.zeros(512, 511)),
        ("centres", torch.zeros(512)),
        ("centres", torch.zeros(0, 512)),
        ("centres", torch.zeros(2, 3)),
        ("val_distances", torch.zeros(0)),
        ("val_distances", torch.zeros(3, 3)),
        ("val_distances", torch.tensor(1.0)),
        ("val_distances", None),
        ("code", torch.zeros(1)),
        ("x" * 10_000, torch.zeros(1)),
    ],
)
def test_a_score_that_does_not_fit_is_refused_in_one_line(scored: Model, name: str, value: torch.Tensor | None) -> None:
    tensors = {key: own for key, own in scored.tensors.items() if key != f"unknown.{name}"}
    tensors |= {} if value is None else {f"unknown.{name}": value}
    with pytest.raises(UserError, match="the model's score of unknown images has") as error:
        replace(scored, tensors=tensors).network_with_distance()
    assert "\n" not in str(error.value) and len(str(error.value)) < 600


def test_a_score_with_a_number_that_is_not_finite_is_refused(tmp_path: Path, scored: Model) -> None:
    mean = scored.tensors["unknown.mean"].clone()
    mean[3] = math.nan
    write_model(tmp_path / "m.safetensors", replace(scored, tensors=scored.tensors | {"unknown.mean": mean}))
    with pytest.raises(UserError, match="1 of the 96 values of unknown.mean are NaN or infinite"):
        read_model(tmp_path / "m.safetensors")
