"""Loss and accuracy are means over images, and evaluation changes nothing."""

import pytest
import torch
from torch import nn

from plumbline.run.errors import UserError
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.loss_and_accuracy import classify, evaluate


class Fixed(nn.Module):
    """Gives as logits what it is given, plus a bias that can be learned."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, 0, 0] + self.bias


def one_batch(logits: list[list[float]], labels: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor(logits)[:, :, None, None], torch.tensor(labels)


def test_loss_and_accuracy_are_means_over_images_and_not_over_batches() -> None:
    # Logits (0, ln 3): probabilities 1/4 and 3/4.
    ln3 = 1.0986123
    inputs = [one_batch([[0, ln3]] * 3, [1, 1, 0]), one_batch([[0, ln3]], [0])]
    result = evaluate(Fixed(), inputs, choose_compute("float32"))
    assert result.accuracy == 2 / 4
    assert result.loss == pytest.approx((2 * 0.2876821 + 2 * 1.3862944) / 4, abs=1e-6)  # -ln 3/4, -ln 1/4


def test_evaluation_is_in_evaluation_mode_and_changes_nothing() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten())
    batch = one_batch([[1.0, 2.0], [3.0, 5.0]], [1, 0])
    before = {key: value.clone() for key, value in network.state_dict().items()}
    results = {evaluate(network.train(), [batch], choose_compute("float32")) for _ in range(2)}
    assert len(results) == 1
    assert not network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_the_gradient_of_the_loss_is_softmax_minus_one_hot() -> None:
    network = Fixed()
    logits, loss = classify(network, *one_batch([[0.0, 0.0]], [1]), choose_compute("float32"))
    loss.backward()
    assert logits.tolist() == [[0.0, 0.0]]
    assert network.bias.grad.tolist() == [0.5, -0.5]


def test_a_lone_image_that_batch_normalisation_cannot_take_is_one_line() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten())
    with pytest.raises(UserError, match="a batch holds a single image"):
        classify(network, *one_batch([[0.0, 1.0]], [1]), choose_compute("float32"))
