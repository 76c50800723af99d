"""What a recipe asks for beside optimiser and schedule: of one update against torch's own, and of a whole run."""

import dataclasses
import itertools
import json
import math
import re
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from plumbline.model.model_file import read_model
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.training.network_input import to_input
from stages.finetune import __main__ as finetune
from stages.finetune.divergence import Diverged
from stages.finetune.interruption import Interruption
from stages.finetune.minibatches import Batch, Batches, part_for_epoch
from stages.finetune.run_state import Run
from stages.finetune.training_loop import end_epoch, to_training_mode, train, update
from stages.finetune.training_setup import Setup, begin_run, moving_average, read_setup
from stages.prepare import __main__ as prepare
from tests.conftest import Workspace, write_image
from tests.support.models import SMALL


def run_and_setup(ready: Workspace, **values: object) -> tuple[Run, Setup]:
    """Return a run before its first update, and its setup; in float64, where rounding hides nothing."""
    ready.set(finetune__precision="float64", **{f"finetune__{key}": value for key, value in values.items()})
    settings = params_file.load(AllParams)
    setup = read_setup(settings, SMALL)
    return begin_run(setup, read_model(finetune.BACKBONE), settings.seed), setup


def gradient_after_an_update(run: Run, setup: Setup, indices: list[int]) -> torch.Tensor:
    """Return the gradient of the head that one update went by."""
    part = part_for_epoch(0, run, setup, lambda: None)
    to_training_mode(part.trained, setup.recipe)
    update(run, setup, part, torch.tensor(indices))
    return run.network.fc.weight.grad


def by_hand(run: Run, setup: Setup, indices: list[int], **options: object) -> tuple[torch.Tensor, float]:
    """Return the head's gradient and the loss as torch's own cross-entropy gives them, in float64."""
    run.network.train()
    run.network.zero_grad()
    if setup.recipe.freeze_statistics:
        run.network.eval()
    logits = run.network(to_input(setup.train.images[indices], setup.transform).double())
    loss = nn.functional.cross_entropy(logits, setup.train.labels[indices], **options)
    loss.backward()
    return run.network.fc.weight.grad.clone(), loss.item()


@pytest.mark.medium
@pytest.mark.parametrize("weights", [None, torch.tensor([3.0, 0.5])])
def test_accumulated_batches_give_the_gradient_and_the_train_loss_of_one_large_batch(
    ready: Workspace, weights: torch.Tensor | None
) -> None:
    # With batch normalisation's statistics frozen the images do not see each other. The last batch has one image.
    # The learning rate is too low to change a weight, so that the epoch's second update has the first one's network.
    run, setup = run_and_setup(ready, batch_size=2, accumulate=3, freeze_statistics=True, lr=1e-30)
    setup = dataclasses.replace(setup, class_weights=weights)
    weight = None if weights is None else weights.double()
    wanted, _ = by_hand(run, setup, [0, 3, 5, 7, 9], weight=weight)
    _, loss = by_hand(run, setup, [0, 3, 5, 7, 9, 2], weight=weight)
    assert torch.allclose(gradient_after_an_update(run, setup, [0, 3, 5, 7, 9]), wanted, atol=1e-12)
    assert (run.progress.step, run.progress.position) == (1, 5)
    gradient_after_an_update(run, setup, [2])
    end_epoch(run, setup, part_for_epoch(0, run, setup, lambda: None), lambda: None)
    assert run.progress.history[0]["train_loss"] == pytest.approx(loss, rel=1e-12)


def test_the_moving_average_is_of_weights_and_statistics_and_leaves_whole_numbers_as_they_are() -> None:
    """Swin's attention finds its biases by an index of whole numbers, which an average would change by rounding."""
    torch.manual_seed(0)
    network, decay = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), 0.9
    network.register_buffer("index", torch.arange(169))
    average, wanted = moving_average(network, decay), {}
    for number in range(20):
        for value in [*network.parameters(), network[1].running_var]:
            nn.init.normal_(value)
        network[1].num_batches_tracked += 1
        average.update_parameters(network)
        for key, value in network.state_dict().items():
            wanted[key] = decay * wanted[key] + (1 - decay) * value.double() if number else value.double()
    found = average.module.state_dict()
    assert torch.equal(found["index"], torch.arange(169))
    assert found["1.num_batches_tracked"] == 20
    for key in set(wanted) - {"index", "1.num_batches_tracked"}:
        torch.testing.assert_close(found[key].double(), wanted[key], rtol=1e-5, atol=1e-6)


class OneImageIsNotFinite:
    """Minibatches in which one image's input is not a number."""

    def __init__(self, batches: Batches, image: int) -> None:
        self.batches, self.image = batches, image

    def batch(self, indices: torch.Tensor) -> Batch:
        inputs, labels = self.batches.batch(indices)
        return inputs.masked_fill((indices == self.image).view(-1, 1, 1, 1), math.nan), labels


def test_of_accumulated_batches_the_one_that_diverged_is_named(ready: Workspace) -> None:
    run, setup = run_and_setup(ready, batch_size=2, accumulate=3)
    part = part_for_epoch(0, run, setup, lambda: None)
    part = dataclasses.replace(part, train=OneImageIsNotFinite(part.train, 7))
    before = run.network.fc.weight.detach().clone()
    first, second = (re.escape(setup.train.paths[i]) for i in (5, 7))
    with pytest.raises(Diverged, match=f"the train loss of epoch 0, batch 1, is nan .* on {first}, {second}; lower"):
        update(run, setup, part, torch.tensor([0, 3, 5, 7, 9, 2]))
    assert torch.equal(run.network.fc.weight, before)


@pytest.mark.medium
def test_label_smoothing_and_class_weights_are_torchs(ready: Workspace) -> None:
    run, setup = run_and_setup(ready, label_smoothing=0.2)
    wanted, _ = by_hand(run, setup, [0, 3, 5, 7], label_smoothing=0.2)
    assert torch.allclose(gradient_after_an_update(run, setup, [0, 3, 5, 7]), wanted, atol=1e-12)
    run, setup = run_and_setup(ready, label_smoothing=0.0, class_weights="balanced")
    setup = dataclasses.replace(setup, class_weights=torch.tensor([3.0, 0.5]))
    wanted, _ = by_hand(run, setup, [0, 3, 5, 7], weight=torch.tensor([3.0, 0.5]).double())
    assert torch.allclose(gradient_after_an_update(run, setup, [0, 3, 5, 7]), wanted, atol=1e-12)


@pytest.mark.medium
def test_a_gradient_longer_than_clip_norm_is_shortened_to_it(ready: Workspace) -> None:
    run, setup = run_and_setup(ready, clip_norm=0.01)
    gradient_after_an_update(run, setup, [0, 3, 5, 7])
    total = sum(p.grad.double().square().sum() for p in run.network.parameters()).sqrt()
    assert total.item() == pytest.approx(0.01, rel=1e-3)  # torch divides by the norm and 1e-6


@pytest.mark.medium
def test_the_moving_average_is_what_is_validated_and_written(ready: Workspace) -> None:
    ready.set(finetune__precision="float32", finetune__ema=0.5, finetune__batch_size=10, finetune__epochs=3)
    ready.set(finetune__lr=0.1)
    settings = params_file.load(AllParams)
    setup = read_setup(settings, SMALL)
    run = begin_run(setup, read_model(finetune.BACKBONE), settings.seed)
    heads = []
    train(run, setup, save=lambda: heads.append(run.network.fc.weight.detach().clone()), interruption=Interruption())
    # One update an epoch: the first is taken whole, then halves.
    wanted = (heads[0] / 2 + heads[1] / 2) / 2 + heads[2] / 2
    assert torch.allclose(run.kept_tensors()["fc.weight"], wanted, atol=1e-7)
    finetune.main()
    model = read_model(finetune.FINETUNED)
    assert torch.allclose(model.tensors["fc.weight"], wanted, atol=1e-7)
    with torch.no_grad():
        logits = model.network().eval()(to_input(setup.val.images, setup.transform))
    loss = nn.functional.cross_entropy(logits, setup.val.labels).item()
    assert pd.read_csv(finetune.HISTORY)["val_loss"].iloc[-1] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_a_few_batches_can_be_learnt_by_heart(ready: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    ready.set(finetune__overfit_batches=1, finetune__epochs=30, finetune__lr=0.01, finetune__batch_size=4)
    finetune.main()
    table = pd.read_csv(finetune.HISTORY)
    assert table["train_accuracy"].iloc[-1] == table["val_accuracy"].iloc[-1] == 1
    assert table["train_loss"].iloc[-1] < 0.1 * table["train_loss"].iloc[0]
    assert "trains and validates on the same 4 images, for debugging" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    "augment",
    [{"mixup": 0.4, "cutmix": 1.0}, {"flip": 0.5, "smallest_crop": 0.3, "policy": "trivialaugment"}],
)
@pytest.mark.parametrize("freeze", [None, "layer2"])
def test_augmented_runs_repeat_to_the_byte(ready: Workspace, augment: dict[str, object], freeze: str | None) -> None:
    ready.set(**{f"finetune__augment__{key}": value for key, value in augment.items()}, finetune__freeze=freeze)
    found = []
    for _ in range(2):
        finetune.main()
        found.append(finetune.HISTORY.read_bytes())
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_thousand_classes_get_a_head_of_their_size(ready: Workspace) -> None:
    names = tuple(f"{i:04d}" for i in range(1000))
    ready.set(data__root="many", image__resize=36, image__crop=33, finetune__epochs=1, finetune__batch_size=100)
    for i, (split, name) in enumerate(itertools.product(("train", "val"), names)):
        write_image(Path("many") / split / name / "0.png", seed=i)
    prepare.main()
    finetune.main()
    model = read_model(finetune.FINETUNED)
    assert model.classes == list(names)
    assert model.tensors["fc.weight"].shape == (1000, 96)
    assert 0 < json.loads(finetune.METRICS.read_text())["train_loss"] < 20
