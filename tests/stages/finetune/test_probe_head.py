"""The head that fine-tuning begins with is scikit-learn's logistic regression, and a run may end with it."""

import json
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from plumbline.model.model_file import read_model
from plumbline.model.unknown import network_tensors
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import UserError
from plumbline.training.device_and_precision import Compute
from plumbline.training.splits import read_splits
from stages.finetune import __main__ as finetune
from stages.finetune.probe_head import refuse_missing_classes, refuse_other_heads
from stages.finetune.run_state import Progress
from stages.finetune.training_setup import begin_run, read_setup
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import Workspace, write_data_set
from tests.support.models import SMALL
from tests.support.projects import change_params
from tests.support.together import train_together, written

NETWORKS = {"resnet18": 33, SMALL: 33, "timm/test_vit": 160, "timm/test_efficientnet": 64}  # and their image.crop
CLASSES = ("ant", "bee", "moth")


def set_up(workspace: Workspace, architecture: str, classes: tuple[str, ...], **values: object) -> None:
    """Prepare twelve small images a class, and begin from random weights with the probe's head."""
    crop = NETWORKS[architecture]
    workspace.set(data__root="images", image__resize=crop, image__crop=crop, weights__architecture=architecture)
    workspace.set(weights__source="none", finetune__head="probe", finetune__epochs=0, finetune__batch_size=4)
    workspace.set(**values)
    write_data_set(Path("images"), images=12, classes=classes)
    prepare.main()
    weights.main()


def inputs(split: str) -> torch.Tensor:
    """Return a split's inputs, as torch computes them from the arrays."""
    pixels = read_splits()[split].images.permute(0, 3, 1, 2).float() / 255
    image = params_file.load(AllParams).image
    return (pixels - torch.tensor(image.mean).view(3, 1, 1)) / torch.tensor(image.std).view(3, 1, 1)


def features(architecture: str, images: torch.Tensor) -> np.ndarray:
    """Return what the backbone gives without its head, in torchvision's and timm's own ways."""
    tensors = read_model(finetune.BACKBONE).tensors
    if architecture.startswith("timm/"):
        network = timm.create_model(architecture.removeprefix("timm/"), num_classes=2)
        network.load_state_dict(tensors)
        network.reset_classifier(0)
    else:
        network = torchvision.models.get_model(architecture, num_classes=2)
        network.load_state_dict(tensors)
        network.fc = nn.Identity()
    with torch.no_grad():
        return network.eval()(images).numpy()


def scalers() -> list[StandardScaler | FunctionTransformer]:
    """Return scikit-learn's scaler without the division, and one that divides by a deviation with a floor.

    The floor is a tenth of the median deviation of the training features.
    """
    train = features(read_model(finetune.BACKBONE).architecture, inputs("train")).std(axis=0)
    scale = np.maximum(train, 0.1 * np.median(train[train > 0]))
    return [StandardScaler(with_std=False), FunctionTransformer(lambda values: values / scale)]


def history() -> pd.DataFrame:
    return pd.read_csv(finetune.HISTORY)


@pytest.mark.medium
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("architecture", [name for name in NETWORKS if name != SMALL])
def test_the_network_gives_the_probabilities_of_scikit_learns_logistic_regression(
    workspace: Workspace, passed: None, architecture: str, classes: int
) -> None:
    set_up(workspace, architecture, CLASSES[:classes])
    finetune.main()
    oracle = make_pipeline(*scalers(), LogisticRegression(max_iter=5000))
    oracle.fit(features(architecture, inputs("train")), read_splits()["train"].labels.numpy())
    expected = oracle.predict_proba(features(architecture, inputs("val")))
    model = read_model(finetune.FINETUNED)
    with torch.no_grad():
        logits = model.network().eval()(inputs("val"))
    assert expected.std() > 0.1, "all images have the same probabilities: this shows nothing"
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=1e-3)
    loss = nn.functional.cross_entropy(logits, read_splits()["val"].labels).item()
    assert history()["val_loss"].to_list() == pytest.approx([loss], rel=1e-3)


@pytest.mark.medium
def test_class_weights_are_scikit_learns(workspace: Workspace, passed: None) -> None:
    set_up(workspace, SMALL, CLASSES[:2], finetune__class_weights="balanced")
    for number in range(8):
        Path(f"images/train/bee/{number}.png").unlink()
    prepare.main()
    finetune.main()
    oracle = make_pipeline(*scalers(), LogisticRegression(max_iter=5000, class_weight="balanced"))
    oracle.fit(features(SMALL, inputs("train")), read_splits()["train"].labels.numpy())
    with torch.no_grad():
        found = read_model(finetune.FINETUNED).network().eval()(inputs("val")).softmax(1)
    expected = oracle.predict_proba(features(SMALL, inputs("val")))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-3)


@pytest.mark.medium
def test_the_probes_train_loss_is_the_one_that_is_minimised_and_its_val_loss_the_plain_one(
    workspace: Workspace, passed: None
) -> None:
    set_up(workspace, SMALL, CLASSES[:2], finetune__class_weights="balanced", finetune__label_smoothing=0.2)
    for number in range(8):
        Path(f"images/train/bee/{number}.png").unlink()
    prepare.main()
    finetune.main()
    network, splits = read_model(finetune.FINETUNED).network().eval(), read_splits()
    with torch.no_grad():
        logits = {split: network(inputs(split)) for split in ("train", "val")}
    weight = torch.tensor([16 / (2 * 12), 16 / (2 * 4)])  # 12 ants and 4 bees
    losses = {
        "train": nn.functional.cross_entropy(logits["train"], splits["train"].labels, weight, label_smoothing=0.2),
        "val": nn.functional.cross_entropy(logits["val"], splits["val"].labels),
    }
    for split, loss in losses.items():
        assert history()[f"{split}_loss"].to_list() == pytest.approx([loss.item()], rel=1e-3)


@pytest.mark.medium
def test_without_an_epoch_the_history_has_the_probe_alone_and_the_backbone_is_unchanged(
    workspace: Workspace, passed: None
) -> None:
    set_up(workspace, SMALL, CLASSES[:2])
    finetune.main()
    files = [finetune.FINETUNED, finetune.HISTORY, finetune.METRICS]
    first = [path.read_bytes() for path in files]
    assert history()["epoch"].to_list() == [-1]
    metrics = json.loads(finetune.METRICS.read_text())
    assert (metrics["epochs"], metrics["kept_epoch"], metrics["precision_bits"]) == (0, -1, 32)
    assert metrics["val_accuracy"] == history()["val_accuracy"][0]
    before, after = read_model(finetune.BACKBONE).tensors, read_model(finetune.FINETUNED).tensors
    changed = {key for key, value in network_tensors(after).items() if not torch.equal(before[key], value)}
    assert changed == {"fc.weight", "fc.bias"}
    finetune.main()
    assert [path.read_bytes() for path in files] == first


@pytest.mark.medium
def test_the_seeds_differ_in_nothing_that_is_not_random(workspace: Workspace, passed: None) -> None:
    set_up(workspace, SMALL, CLASSES[:2], finetune__seeds=2)
    finetune.main()
    metrics = json.loads(finetune.METRICS.read_text())
    assert (metrics["seeds"], metrics["val_loss_deviation"]) == (2, 0)


@pytest.mark.medium
def test_training_goes_on_from_the_probe(workspace: Workspace, passed: None) -> None:
    set_up(workspace, SMALL, CLASSES[:2], finetune__epochs=2, finetune__lr=1e-9, finetune__freeze="layer4")
    workspace.set(finetune__ema=0.5)
    finetune.main()
    table = history()
    assert table["epoch"].to_list() == [-1, 0, 1]
    assert table["learning_rate"].to_list() == [0, 1e-9, 1e-9]
    assert table["val_loss"].to_list() == pytest.approx([table["val_loss"][0]] * 3, rel=0.05)
    assert json.loads(finetune.METRICS.read_text())["epochs"] == 2


@pytest.mark.medium
def test_the_probe_is_kept_where_training_makes_it_worse_and_patience_counts_from_it(
    workspace: Workspace, passed: None
) -> None:
    set_up(workspace, SMALL, CLASSES[:2])
    finetune.main()
    probe = read_model(finetune.FINETUNED)
    workspace.set(finetune__epochs=9, finetune__lr=100.0, finetune__momentum=0.0, finetune__freeze="backbone")
    workspace.set(finetune__keep="best", finetune__patience=2)
    finetune.main()
    assert history()["epoch"].to_list() == [-1, 0, 1]
    metrics = json.loads(finetune.METRICS.read_text())
    assert (metrics["epochs"], metrics["kept_epoch"]) == (2, -1)
    assert metrics["val_loss"] == history()["val_loss"].min()
    kept = read_model(finetune.FINETUNED)
    assert all(torch.equal(kept.tensors[key], value) for key, value in probe.tensors.items())
    assert kept.temperature == probe.temperature


def test_the_probe_has_the_precision_of_its_fit_also_after_epochs_in_another(workspace: Workspace) -> None:
    workspace.set(finetune__head="probe", finetune__epochs=1, finetune__keep="best")
    recipe, compute = params_file.load(AllParams).finetune, Compute(torch.device("cpu"), torch.bfloat16)
    for val_loss, kept_epoch, bits in ((0.9, -1, 32), (0.1, 0, 16)):  # of the epoch; the probe's is 0.5
        losses = {-1: 0.5, 0: val_loss}
        history = [dict.fromkeys(finetune.MEASURED, loss) | {"epoch": epoch} for epoch, loss in losses.items()]
        metrics = finetune.summary([Progress(epoch=1, history=history)], recipe, compute)
        assert (metrics["kept_epoch"], metrics["precision_bits"]) == (kept_epoch, bits)


@pytest.mark.medium
@pytest.mark.parametrize("freeze", [None, "layer3"])
def test_an_epoch_that_changes_no_weight_has_the_probes_val_loss_and_is_not_kept_for_its_rounding(
    workspace: Workspace, passed: None, freeze: str | None
) -> None:
    """In bfloat16 the probe's own features, in float32, would give another loss."""
    set_up(workspace, SMALL, CLASSES[:2], finetune__epochs=1, finetune__lr=1e-30, finetune__freeze=freeze)
    workspace.set(finetune__precision="bfloat16", finetune__freeze_statistics=True, finetune__keep="best")
    finetune.main()
    before, after = history()["val_loss"]
    assert before == after
    assert json.loads(finetune.METRICS.read_text())["kept_epoch"] == -1


def test_a_random_head_is_drawn_as_torch_draws_it(ready: Workspace) -> None:
    ready.set(weights__architecture="resnet18")
    weights.main()
    settings, backbone = params_file.load(finetune.Params), read_model(finetune.BACKBONE)
    run = begin_run(read_setup(settings, backbone.architecture), backbone, seed=3)
    torch.manual_seed(3)
    fresh = torchvision.models.resnet18(num_classes=2).fc
    assert torch.equal(run.network.fc.weight, fresh.weight)
    assert torch.equal(run.network.fc.bias, fresh.bias)


@pytest.mark.slow
def test_two_processes_end_with_the_probe_of_one(workspace: Workspace, passed: None) -> None:
    set_up(workspace, SMALL, CLASSES[:2])
    train_together(1)
    alone = written()
    train_together(2)
    assert written() == alone


@pytest.mark.parametrize("architecture", ["squeezenet1_0", "timm/mobilenetv4_conv_small", "timm/vit_tiny_patch16_224"])
def test_heads_of_one_linear_layer_are_taken_and_others_refused(architecture: str) -> None:
    if architecture != "squeezenet1_0":
        refuse_other_heads(architecture, 224)
        return
    with pytest.raises(UserError, match="and classifier.1 of squeezenet1_0 is none: set finetune.head to random"):
        refuse_other_heads(architecture, 224)


def test_a_class_without_a_training_image_is_named() -> None:
    refuse_missing_classes(torch.tensor([0, 1, 2]), list(CLASSES))
    with pytest.raises(UserError, match="none of bee, moth: give train images of each class"):
        refuse_missing_classes(torch.tensor([0, 0]), list(CLASSES))


@pytest.mark.slow
def test_every_later_stage_takes_a_run_without_an_epoch(tiny_copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_copy)
    change_params(tiny_copy, {"finetune.head": "probe", "finetune.epochs": 0, "finetune.keep": "best"})
    for stage in ("finetune", "evaluate", "gallery", "plot", "report", "export", "card"):
        import_module(f"stages.{stage}.__main__").main()
    card = (tiny_copy / "models/CARD.md").read_text()
    assert "A logistic regression on the features of" in card
    assert "no epoch was trained. Multiplied in\nfloat32" in card
    report = (tiny_copy / "report/index.html").read_text()
    assert "No epoch was trained: the head is a logistic regression" in report
    assert "All other weights are unchanged." in report
    assert "Optimiser" not in report
    assert "epoch -1, counted" not in report
    measures = pd.read_csv(tiny_copy / "plots/measures.csv").set_index(["split", "measure"])["value"]
    for split in ("train", "val", "test"):
        assert measures[split, "accuracy"] == measures[split, "probe_accuracy"]
    assert ("train", "lr_over_curvature_limit") not in measures
