"""A phase's result is the mean over images, and only a phase with a step changes anything."""

import pytest
import torch
from torch import nn

from plumbline.run.errors import UserError
from plumbline.training.arithmetic import choose_arithmetic
from plumbline.training.phase import optimiser_step, run_phase


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
    result = run_phase(Fixed(), inputs, choose_arithmetic("float32"))
    assert result.accuracy == 2 / 4
    assert result.loss == pytest.approx((2 * 0.2876821 + 2 * 1.3862944) / 4, abs=1e-6)  # -ln 3/4, -ln 1/4


def test_a_phase_learns_with_a_step_and_only_then() -> None:
    network = Fixed()
    batch = one_batch([[0.0, 0.0]], [1])
    arithmetic = choose_arithmetic("float32")
    run_phase(network, [batch], arithmetic)
    assert network.bias.tolist() == [0, 0]
    assert not network.training
    run_phase(network, [batch], arithmetic, step=optimiser_step(torch.optim.SGD(network.parameters(), lr=1)))
    # Gradient of cross-entropy: softmax minus one-hot, (1/2, -1/2).
    assert network.bias.tolist() == [-0.5, 0.5]
    assert network.training


def test_an_update_uses_the_gradient_of_its_own_batch_alone() -> None:
    network = Fixed()
    step = optimiser_step(torch.optim.SGD(network.parameters(), lr=1))
    for _ in range(2):
        network.bias.data.zero_()
        run_phase(network, [one_batch([[0.0, 0.0]], [1])], choose_arithmetic("float32"), step=step)
        assert network.bias.tolist() == [-0.5, 0.5]


def test_a_lone_image_that_batch_normalisation_cannot_take_is_one_line() -> None:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.Flatten())
    step = optimiser_step(torch.optim.SGD(network.parameters(), lr=1))
    with pytest.raises(UserError, match="an epoch's last batch holds a single image"):
        run_phase(network, [one_batch([[0.0, 1.0]], [1])], choose_arithmetic("float32"), step=step)
