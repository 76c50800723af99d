"""A network with an operation that torch cannot repeat to the bit, in every stage that computes gradients.

No network has one on the processor. The pooling's backward pass gets one, as AlexNet's and VGG's have on a GPU.
"""

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import nn

from plumbline.run.errors import run
from stages.curvature import __main__ as curvature
from stages.digits import __main__ as digits
from stages.evaluate import __main__ as evaluate
from stages.finetune import __main__ as finetune
from stages.gallery import __main__ as gallery
from stages.weights import __main__ as weights
from tests.conftest import Workspace

FINETUNED = Path("models/finetuned.safetensors")


class PutInBackward(torch.autograd.Function):
    """What it is given; the backward pass calls put_, which has no deterministic form."""

    @staticmethod
    def forward(ctx: object, values: torch.Tensor) -> torch.Tensor:
        return values.clone()

    @staticmethod
    def backward(ctx: object, gradient: torch.Tensor) -> torch.Tensor:
        torch.zeros(1).put_(torch.tensor([0]), torch.ones(1))
        return gradient


@pytest.fixture
def unrepeatable(ready: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A workspace in which fine-tuning can start, whose network has such an operation."""
    pool = nn.AdaptiveAvgPool2d.forward
    monkeypatch.setattr(nn.AdaptiveAvgPool2d, "forward", lambda module, X: PutInBackward.apply(pool(module, X)))
    ready.set(weights__source="digits", weights__pretraining__epochs=1, weights__pretraining__image_size=32)
    ready.set(curvature__images=2, curvature__draws=2, curvature__steps=1, gallery__images=1)
    digits.main()
    return ready


@pytest.mark.slow
def test_it_ends_a_stage_with_one_line_that_names_it_and_what_to_set(unrepeatable: Workspace) -> None:
    for main in (weights.main, curvature.main, finetune.main):
        with pytest.raises(SystemExit) as exit_:
            run(main)
        assert exit_.value.code.startswith("error: on this device torch cannot repeat put_ to the bit")
        assert ": set finetune.deterministic to false, " in exit_.value.code
    assert not FINETUNED.exists()


@pytest.mark.slow
def test_where_it_may_run_each_stage_names_it_once_and_the_metrics_count_it(
    unrepeatable: Workspace, capsys: pytest.CaptureFixture[str]
) -> None:
    unrepeatable.set(finetune__deterministic=False)

    def warnings_of(main: Callable[[], None]) -> list[str]:
        main()
        return [line for line in capsys.readouterr().err.splitlines() if "put_" in line]

    for main in (weights.main, curvature.main, finetune.main):
        (line,) = warnings_of(main)
        assert line.startswith("warning: on this device torch cannot repeat put_ to the bit")
    assert json.loads(finetune.METRICS.read_text())["nondeterministic_operations"] == 1
    assert pd.read_csv("plots/history.csv").notna().all(axis=None)
    assert warnings_of(evaluate.main) == []
    assert len(warnings_of(gallery.main)) == 1


@pytest.mark.medium
def test_a_network_without_one_counts_none(ready: Workspace) -> None:
    ready.set(finetune__deterministic=False)
    finetune.main()
    assert json.loads(finetune.METRICS.read_text())["nondeterministic_operations"] == 0
