"""Optimisers and schedules: against torch's own, and against numbers worked by hand."""

import pandas as pd
import pytest
import torch
from torch import nn

from plumbline.params.all import AllParams
from plumbline.params.finetune import Finetune
from plumbline.run import params_file
from plumbline.run.errors import UserError
from stages.finetune import __main__ as finetune
from stages.finetune.optimiser_and_schedule import build_optimiser, lr_factor, parameter_groups, set_lr
from tests.conftest import Workspace


def recipe(workspace: Workspace, **values: object) -> Finetune:
    workspace.set(**{f"finetune__{key}": value for key, value in values.items()})
    return params_file.load(AllParams).finetune


def factors(own: Finetune, steps_per_epoch: int) -> list[float]:
    return [lr_factor(step, steps_per_epoch, own) for step in range(own.epochs * steps_per_epoch)]


def torch_factors(make_scheduler, steps: int) -> list[float]:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make_scheduler(optimiser)
    found = []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


def test_schedules_are_torchs(workspace: Workspace) -> None:
    schedulers = torch.optim.lr_scheduler
    own = recipe(workspace, epochs=6, schedule="cosine")
    assert factors(own, 5) == pytest.approx(torch_factors(lambda o: schedulers.CosineAnnealingLR(o, 30), 30))
    own = recipe(workspace, schedule="step", step_epochs=2, step_factor=0.5)
    assert factors(own, 5) == pytest.approx(torch_factors(lambda o: schedulers.StepLR(o, 10, 0.5), 30))
    own = recipe(workspace, schedule="constant")
    assert factors(own, 5) == [1.0] * 30


def test_one_cycle_rises_to_the_peak_and_falls_as_torchs_does(workspace: Workspace) -> None:
    own = recipe(workspace, epochs=10, schedule="one_cycle")
    ours = factors(own, 100)
    theirs = torch_factors(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 1.0, 1000), 1000)
    # torch's counts the last update as the end of the wave, so the two are at most an update apart.
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) < 0.01
    assert max(ours) == pytest.approx(1, abs=1e-4)
    assert ours[0] == pytest.approx(1 / 25)


def test_the_warm_up_rises_in_equal_steps_and_hands_over_to_the_schedule(workspace: Workspace) -> None:
    own = recipe(workspace, epochs=3, warmup_epochs=1, schedule="cosine")
    # 3 updates an epoch: 1/4, 2/4, 3/4, then half a wave over the 6 that are left.
    expected = [0.25, 0.5, 0.75, 1.0, 0.9330127, 0.75, 0.5, 0.25, 0.0669873]
    assert factors(own, 3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("optimiser", "theirs"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.8, weight_decay=0.3)),
        ("adam", lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.8, 0.999), weight_decay=0.3)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.8, 0.999), weight_decay=0.3)),
    ],
)
def test_an_optimiser_is_torchs_with_the_parameters_that_are_set(workspace: Workspace, optimiser: str, theirs) -> None:
    own = recipe(workspace, optimiser=optimiser, lr=0.1, momentum=0.8, weight_decay=0.3)

    def three_steps(make) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = nn.Linear(4, 3)
        made = make(network)
        for _ in range(3):
            made.zero_grad()
            (network(torch.ones(2, 4)) ** 2).sum().backward()
            made.step()
        return list(network.parameters())

    ours = three_steps(lambda network: build_optimiser(network, own))
    wanted = three_steps(lambda network: theirs(network.parameters()))
    for a, b in zip(ours, wanted, strict=True):
        assert torch.equal(a, b)


def test_vectors_are_exempt_from_weight_decay_only_if_asked(workspace: Workspace) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    own = recipe(workspace, weight_decay=0.1)
    assert [(len(g["params"]), g["weight_decay"]) for g in parameter_groups(network, own)] == [(6, 0.1)]
    own = recipe(workspace, decay_vectors=False)
    groups = parameter_groups(network, own)
    assert [(len(g["params"]), g["weight_decay"]) for g in groups] == [(4, 0.0), (2, 0.1)]
    assert {p.dim() for p in groups[0]["params"]} == {1}


def test_layers_rise_in_equal_ratios_from_the_first_to_the_head(workspace: Workspace) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 2))
    own = recipe(workspace, first_layer_lr=0.01, lr=0.5)
    optimiser = build_optimiser(network, own)
    set_lr(optimiser, 0.5)
    lrs = {id(p): group["lr"] for group in optimiser.param_groups for p in group["params"]}
    assert [lrs[id(p)] for p in network.parameters()] == pytest.approx([0.005, 0.005, 0.05, 0.05, 0.5, 0.5])


@pytest.mark.medium
def test_the_history_holds_each_epochs_last_learning_rate(ready: Workspace) -> None:
    ready.set(finetune__schedule="step", finetune__step_epochs=1, finetune__step_factor=0.1, finetune__epochs=3)
    finetune.main()
    assert pd.read_csv("plots/history.csv")["learning_rate"].to_list() == pytest.approx([1e-3, 1e-4, 1e-5])


def test_a_warm_up_as_long_as_the_run_is_refused(workspace: Workspace) -> None:
    with pytest.raises(UserError, match=r"finetune.warmup_epochs is 3: should be less than finetune.epochs, 3"):
        recipe(workspace, epochs=3, warmup_epochs=3)
    with pytest.raises(
        UserError, match=r"finetune.warmup_epochs is 1: should be 0 where .* one_cycle, which has a rise"
    ):
        recipe(workspace, epochs=3, warmup_epochs=1, schedule="one_cycle")
