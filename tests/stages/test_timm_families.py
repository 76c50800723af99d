"""timm's networks in every stage: one of each kind, with random weights, on small photographs."""

from importlib import import_module
from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest
import timm
import torch
from timm.optim import param_groups_layer_decay

from plumbline import Classifier
from plumbline.checks.claims import Checks
from plumbline.model.families import build_network, layers_in_order
from plumbline.model.head import head_keys, head_name, refuse_unserved, replace_head
from plumbline.model.model_file import read_model
from plumbline.model.networks import shape_of_network
from plumbline.model.timm_names import refuse_unknown_timm_name, timm_names
from plumbline.model.unknown import network_tensors
from plumbline.run.certificates import write_certificate
from plumbline.run.errors import UserError
from stages.backprop.network_cost import check_network_cost
from stages.convolution.network_table import check_network
from stages.finetune.optimiser_and_schedule import lr_shares
from tests.conftest import Workspace, write_data_set
from tests.support.projects import TINY
from tests.support.timm_networks import KINDS

QUICK = ("resnet18", "tf_efficientnet_lite0", "mobilenetv4_conv_small", "test_vit2")
# Of the others three are large, and the rest close to one of these or to the tiny project's, a ResNet of timm's.
IN_EVERY_STAGE = (
    "tf_efficientnet_lite0",
    "mobilenetv4_conv_small",
    "convnextv2_atto",
    "test_mambaout",
    "test_vit2",
    "mobilevit_xxs",
)
# Those that the kind of network makes a difference to; all of them run on a ResNet of timm's for the tiny project.
OF_NETWORKS = ("prepare", "weights", "curvature", "finetune", "evaluate", "gallery", "export", "card")
CHECKS = ("backprop", "convolution", "weight_decay")


@pytest.mark.parametrize("name", KINDS)
def test_the_head_is_the_one_that_timm_names_and_its_size_follows_the_classes(name: str) -> None:
    architecture, (_, head, _, _) = f"timm/{name}", KINDS[name]
    assert head_name(architecture) == head == timm.get_pretrained_cfg(name).classifier
    assert {key.rpartition(".")[2] for key in head_keys(architecture)} == {"weight", "bias"}
    network = shape_of_network(architecture, 7)
    assert network.get_classifier().out_features == 7
    assert {value.device.type for value in network.state_dict().values()} == {"meta"}


@pytest.mark.parametrize("name", QUICK)
def test_a_new_head_stands_on_an_unchanged_backbone(name: str) -> None:
    architecture = f"timm/{name}"
    tensors = timm.create_model(name, num_classes=7).state_dict()
    network = replace_head(architecture, tensors, 2, crop=KINDS[name][0])
    head = head_keys(architecture)
    assert all(torch.equal(value, tensors[key]) for key, value in network.state_dict().items() if key not in head)
    assert network.get_classifier().out_features == 2


@pytest.mark.parametrize("name", QUICK)
def test_layers_are_timms_in_its_order_and_their_rates_rise_to_the_heads(name: str) -> None:
    network = build_network(f"timm/{name}", 2)
    layers = layers_in_order(network)
    assert sorted(id(parameter) for layer in layers for parameter in layer) == sorted(map(id, network.parameters()))
    shares = {id(parameter): share for parameter, share in lr_shares(network, 0.01)}
    groups = param_groups_layer_decay(network, layer_decay=0.5)  # rates halve from layer to layer
    decays = {id(parameter): group["lr_scale"] for group in groups for parameter in group["params"]}
    order = sorted(network.parameters(), key=lambda parameter: decays[id(parameter)])
    assert [shares[id(p)] for p in order] == sorted(shares.values())
    assert len(set(shares.values())) == len(set(decays.values())) > 3
    assert {shares[id(parameter)] for parameter in network.get_classifier().parameters()} == {1.0}
    assert min(shares.values()) == pytest.approx(0.01)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", IN_EVERY_STAGE)
def test_every_stage_takes_the_network(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr("stages.export.speed.SECONDS", 0.001)
    size, _, layer, method = KINDS[name]
    write_data_set(Path("photos"), images=4)
    small = {key.replace(".", "__"): value for key, value in TINY.items()}
    workspace.set(
        **small | {"image__crop": size, "image__resize": size, "data__root": "photos", "export__int8": "none"}
    )
    workspace.set(weights__architecture=f"timm/{name}", weights__source="none", finetune__batch_size=4)
    workspace.set(evaluate__unknown__images="photos/val")
    workspace.set(finetune__freeze=layer, finetune__thaw_epoch=1, finetune__first_layer_lr=0.1, gallery__images=1)
    for stage in CHECKS:
        write_certificate(stage, ["tried in another test"])
    for stage in OF_NETWORKS:
        import_module(f"stages.{stage}.__main__").main()
    model = read_model(Path("models/finetuned.safetensors"))
    assert model.architecture == f"timm/{name}"
    assert set(pd.read_csv("data/gallery/gallery.csv")["method"]) == {method}
    assert f"A timm/{name} that tells 2 classes" in Path("models/CARD.md").read_text()
    # Nothing of ours between the file and timm's own network.
    network = timm.create_model(name, num_classes=2).eval()
    network.load_state_dict(network_tensors(model.tensors))
    (prediction,) = Classifier(model)("photos/val/ant/0.png")
    pixels = Classifier(model).pixels("photos/val/ant/0.png")
    mean, std = (np.array(values, dtype=np.float32) for values in (model.transform.mean, model.transform.std))
    inputs = torch.from_numpy(((pixels / np.float32(255) - mean) / std).transpose(2, 0, 1)[None])
    with torch.no_grad():
        expected = (network(inputs) / model.temperature).softmax(dim=1)[0].tolist()
    assert list(prediction.probabilities.values()) == pytest.approx(expected, abs=1e-5)
    session = onnxruntime.InferenceSession("models/finetuned.onnx")
    assert session.run(None, {"images": pixels[None]})[0][0] == pytest.approx(expected, abs=1e-4)


@pytest.mark.medium
@pytest.mark.parametrize("name", KINDS)
def test_the_cost_of_both_passes_is_what_torch_counts(name: str) -> None:
    """The forward pass's alone where convolutions have groups: torch counts their backward pass as if of one group."""
    architecture, size = f"timm/{name}", KINDS[name][0]
    checks = Checks()
    passes, _ = check_network_cost(checks, architecture, size)
    totals, table = check_network(checks, architecture, size)
    assert checks.failures == []
    assert passes["network_forward_macs"] == totals["network_macs"] >= table["macs"].sum() > 0


def test_timms_names_are_all_of_timms_and_an_unknown_one_is_answered_with_the_nearest() -> None:
    assert timm_names() == sorted(timm.list_models())
    refuse_unknown_timm_name("timm/resnet18")
    with pytest.raises(
        UserError, match=r"^weights.architecture is 'timm/resnet19', and timm has no .*did you mean timm/r"
    ):
        refuse_unknown_timm_name("timm/resnet19")
    with pytest.raises(UserError, match="set it to timm/resnet18, and weights.tag to a1_in1k$"):
        refuse_unknown_timm_name("timm/resnet18.a1_in1k")
    with pytest.raises(UserError, match="lists them$"):
        refuse_unknown_timm_name("timm/!")


def test_a_network_of_two_heads_is_one_line() -> None:
    with pytest.raises(UserError, match=r"which has 2 heads \(head, head_dist\): choose one with one head$"):
        head_keys("timm/deit_tiny_distilled_patch16_224")


def test_an_image_size_that_timms_network_does_not_take_is_one_line_with_the_right_one() -> None:
    with pytest.raises(UserError, match=r"^image.crop is 160, which this weights.architecture .*: try 240$"):
        refuse_unserved("timm/vit_base_patch16_plus_240", 160)


def test_without_timm_its_names_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plumbline.model.timm_names.find_spec", lambda name: None)
    with pytest.raises(UserError, match="timm is not in this environment: run `make`"):
        timm_names()
