"""Problem 2: the homework's four answers, torch's shapes and counts, and what the stage writes."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional

from plumbline.checks.claims import Checks
from plumbline.run.errors import UserError
from stages.convolution import __main__ as convolution
from stages.convolution import layer_by_formula
from stages.convolution.counting_conventions import counts_of
from stages.convolution.layer_by_formula import Convolution, convolve
from stages.convolution.network_parameters import check_parameters
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
    assert metrics["checks_passed"] > 0
    derivation = json.loads(Path("data/derivations/convolution.json").read_text())
    assert {"2 (a)", "2 (b)", "2 (c)", "2 (d)"} <= {step["number"] for step in derivation["steps"]}
    formulas = [step["latex"] for step in derivation["steps"]]
    assert r"57040 \cdot 90 = 5133600" in formulas
    assert "21780648 + 17024 = 21797672" in formulas
    assert r"(512 + 1) \cdot 1000 = 513000, \quad (512 + 1) \cdot 2 = 1026" in formulas
    assert any(
        "34 of them follow one another. The other 3 are 1 x 1 convolutions" in s["words"] for s in derivation["steps"]
    )


@pytest.mark.parametrize(
    ("architecture", "shortcuts", "elsewhere"),
    # A block's first convolution of stride 2, and in resnet50 the first block, has a shortcut. vit_b_16 learns a class
    # token (768) and 197 positions; its attention's products are no modules: 12 of 4 * (768 * 768 + 768) parameters.
    [("resnet50", 4, 0), ("vgg11", 0, 0), ("vit_b_16", 0, 768 + 197 * 768 + 12 * 4 * (768 * 768 + 768))],
)
def test_every_parameter_of_other_networks_has_its_place(architecture: str, shortcuts: int, elsewhere: int) -> None:
    checks = Checks()
    found = check_parameters(checks, architecture, 224)
    assert checks.failures == []
    assert (found.on_shortcuts, found.elsewhere) == (shortcuts, elsewhere)


def test_the_networks_table_has_every_layer_with_its_share(workspace: Workspace) -> None:
    convolution.main()
    table = pd.read_csv("plots/network_layers.csv").set_index("layer")
    assert len(table) == 37  # 33 in the blocks, 3 on shortcuts or first, and the head; He et al. 2015, table 1
    assert table["share"].sum() == pytest.approx(1)
    # conv1: 7 x 7 x 3 products for each of 64 x 112 x 112 outputs.
    assert table.loc["conv1", "macs"] == 7 * 7 * 3 * 64 * 112 * 112
    assert table.loc["conv1", "output_shape"] == "64x112x112"
    assert table.loc["fc", "parameters"] == 512 * 1000 + 1000


@given(
    st.tuples(st.integers(1, 14), st.integers(1, 14)),
    st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 2), st.integers(1, 2), st.booleans(),
)  # fmt: skip
@settings(max_examples=150)
def test_shapes_values_and_costs_of_any_layer_are_torchs(size, kernel, stride, padding, dilation, groups, n, m, bias):
    layer = Convolution(groups * n, groups * m, kernel, stride, padding, dilation, groups, bias)
    X = torch.randint(-8, 9, (*size, layer.input_channels)).double()
    W = torch.randint(-8, 9, (kernel, kernel, n, layer.output_channels)).double()
    b = torch.randint(-8, 9, (layer.output_channels,)).double()
    if dilation * (kernel - 1) + 1 > min(size) + 2 * padding:
        with pytest.raises(ValueError, match="does not fit"):
            layer_by_formula.output_shape(*size, layer)
        return
    theirs = functional.conv2d(X.permute(2, 0, 1)[None], W.permute(3, 2, 0, 1), b, stride, padding, dilation, groups)[
        0
    ].permute(1, 2, 0)
    assert layer_by_formula.output_shape(*size, layer) == tuple(theirs.shape)
    assert torch.equal(convolve(X, W, b, layer), theirs)
    assume(bias)
    assert layer_by_formula.parameters(layer) == W.numel() + b.numel()
    assert layer_by_formula.macs(*size, layer) == theirs.numel() * W[..., 0].numel()


def test_every_convention_is_worked_by_hand_for_a_small_network() -> None:
    network = torch.nn.Sequential(
        torch.nn.Conv2d(3, 2, 3), torch.nn.BatchNorm2d(2), torch.nn.ReLU(), torch.nn.MaxPool2d(2)
    ).to("meta")
    # 5 x 5 pixels give 2 x 3 x 3 = 18 entries of 27 products each.
    totals = list(counts_of(network, 5, 18 * 27).by_convention().values())
    assert totals == [486, 972, 972 + 18, 990 + 36, 1026 + 18 + 18]


def test_an_image_size_that_the_network_does_not_take_is_one_line(workspace: Workspace) -> None:
    workspace.set(weights__architecture="vit_b_16", image__crop=200)
    with pytest.raises(UserError, match="image.crop is 200, which this weights.architecture does not take"):
        convolution.main()
    workspace.set(weights__architecture="alexnet", image__crop=16)
    with pytest.raises(UserError, match="image.crop is 16"):
        convolution.main()
