"""The certificates of the check stages: the same claims for other sizes, and none for a claim that does not hold."""

import re
from importlib import import_module

import pytest

from plumbline.run.certificates import certificate
from plumbline.run.errors import UserError
from stages.finetune.__main__ import CHECKS
from tests.conftest import Workspace


@pytest.mark.medium
@pytest.mark.parametrize("stage", CHECKS)
def test_other_sizes_give_the_same_certificate_and_other_numbers(workspace: Workspace, stage: str) -> None:
    workspace.set(backprop__trials=3, weight_decay__steps=20)
    import_module(f"stages.{stage}.__main__").main()
    first, metrics = certificate(stage).read_bytes(), (workspace.folder / f"metrics/{stage}.json").read_bytes()
    workspace.set(seed=1, image__crop=160, backprop__trials=2, backprop__samples=7, backprop__inputs=5)
    workspace.set(backprop__hidden=6, backprop__outputs=3, convolution__height=20, convolution__kernel=5)
    workspace.set(convolution__width=31, convolution__input_channels=2, convolution__output_channels=9)
    workspace.set(weight_decay__steps=15, weight_decay__alpha=0.01, weight_decay__lambda_=0.2, finetune__lr=0.01)
    import_module(f"stages.{stage}.__main__").main()
    assert certificate(stage).read_bytes() == first
    assert (workspace.folder / f"metrics/{stage}.json").read_bytes() != metrics


@pytest.mark.medium
@pytest.mark.parametrize("stage", CHECKS)
def test_a_certificate_says_in_words_what_held(workspace: Workspace, stage: str) -> None:
    workspace.set(backprop__trials=3, weight_decay__steps=20)
    import_module(f"stages.{stage}.__main__").main()
    lines = certificate(stage).read_text().splitlines()
    assert len(lines) == len(set(lines)) >= 9
    for line in lines:  # names have digits (resnet34, float64, a layer of 7x7), and so has an equation
        figures = re.findall(r"(?<![A-Za-z\d])\d[\d.e+-]*", re.sub(r"\(\d\.\d\)|\dx\d", "", line))
        assert set(figures) <= {"1", "2"}, line


@pytest.mark.medium
def test_a_check_that_fails_withdraws_the_certificate_of_the_run_before(workspace: Workspace) -> None:
    workspace.set(weight_decay__steps=20)
    stage = import_module("stages.weight_decay.__main__")
    stage.main()
    assert certificate("weight_decay").exists()
    workspace.set(finetune__lr=4.0, finetune__weight_decay=0.5)
    with pytest.raises(UserError, match="finetune.lr is 4, too large"):
        stage.main()
    assert not certificate("weight_decay").exists()
