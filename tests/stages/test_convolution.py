"""Problem 2: the homework's four answers, torch's shapes, and torchvision's published numbers."""

import json
from pathlib import Path

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.checks import Checks
from plumbline.errors import UserError
from stages import convolution
from tests.conftest import Workspace


def test_the_four_answers_are_the_homeworks(workspace: Workspace) -> None:
    convolution.main()
    metrics = json.loads(Path("metrics/convolution.json").read_text())
    assert (metrics["output_height"], metrics["output_width"], metrics["output_channels"]) == (46, 62, 20)
    assert (metrics["input_channels"], metrics["output_channels"]) == (10, 20)
    assert metrics["macs"] == 5_133_600
    assert metrics["parameters"] == 1_820
    # torchvision's documentation of ResNet34: 21,797,672 parameters, 3.66 "GFLOPS", which are MACs.
    assert (metrics["network_parameters"], metrics["network_macs"]) == (21_797_672, 3_663_761_408)
    assert metrics["checks_failed"] == 0


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4), st.integers(0, 4))
@settings(max_examples=200, deadline=None)
def test_output_size_is_torchs(size: int, kernel: int, stride: int, padding: int) -> None:
    if kernel > size + 2 * padding:
        with pytest.raises(ValueError, match="does not fit"):
            convolution.output_size(size, kernel, stride, padding)
        return
    layer = torch.nn.Conv1d(1, 1, kernel, stride, padding)
    assert convolution.output_size(size, kernel, stride, padding) == layer(torch.zeros(1, 1, size)).shape[-1]


@given(st.integers(1, 3), st.integers(3, 8), st.integers(3, 8), st.integers(1, 4), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_the_printed_formula_is_torchs_convolution_bit_for_bit(kernel, height, width, n, m) -> None:
    own = {"height": height, "width": width, "input_channels": n, "kernel": kernel, "output_channels": m}
    checks = Checks()
    convolution.check_homework(checks, convolution.params.Convolution(**own))
    assert checks.failures == []


@pytest.mark.slow
@pytest.mark.parametrize("architecture", torchvision.models.list_models(module=torchvision.models))
@pytest.mark.filterwarnings("default")  # torchvision's own, in two families
def test_the_price_of_every_torchvision_classifier_is_what_torch_and_torchvision_count(architecture: str) -> None:
    checks = Checks()
    convolution.check_network(checks, architecture, 224)
    assert checks.failures == []


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("output_size", lambda size, kernel, stride=1, padding=0: size - kernel),
        ("convolution_macs", lambda h, w, m, k, n: h * w * m * k * n),
        ("convolution_parameters", lambda m, k, n: m * k * k * n),
        ("layer_macs", lambda layer, output: 2 * output.numel()),
    ],
)
def test_a_planted_fault_fails_the_stage(workspace: Workspace, monkeypatch, name: str, wrong) -> None:
    monkeypatch.setattr(convolution, name, wrong)
    with pytest.raises((UserError, RuntimeError)):
        convolution.main()
    assert not Path("metrics/convolution.json").exists()


def test_an_image_size_that_the_network_does_not_take_is_one_line(workspace: Workspace) -> None:
    workspace.set(weights__architecture="vit_b_16", image__crop=200)
    with pytest.raises(UserError, match="image.crop is 200, which this weights.architecture does not take"):
        convolution.main()
    workspace.set(weights__architecture="alexnet", image__crop=16)
    with pytest.raises(UserError, match="image.crop is 16"):
        convolution.main()
