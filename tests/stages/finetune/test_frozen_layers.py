"""What is frozen stays, what is behind it learns, and both together are the network: one of each kind is tried."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from plumbline.model.families import build_network
from plumbline.model.head import head_keys
from plumbline.model.model_file import read_model
from plumbline.model.networks import network_from_tensors
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.run.errors import UserError
from plumbline.training.network_input import to_input
from stages.finetune import __main__ as finetune
from stages.finetune.frozen_layers import cut_network
from stages.finetune.training_setup import begin_run, read_setup
from stages.prepare import __main__ as prepare
from stages.weights import __main__ as weights
from tests.conftest import Workspace
from tests.support.models import SMALL
from tests.support.timm_networks import KINDS, LARGE

# One of each of torchvision's families, the smallest image it takes with room to spare, and a layer to freeze.
FAMILIES = {
    "alexnet": (224, "features.5"),
    "convnext_tiny": (64, "features.3"),
    "densenet121": (64, "features.transition2"),
    "efficientnet_b0": (64, "features.4"),
    "efficientnet_v2_s": (64, "features.3"),
    "googlenet": (64, "inception4a"),
    "inception_v3": (96, "Mixed_5d"),
    "maxvit_t": (224, "blocks.1"),
    "mnasnet0_5": (64, "layers.9"),
    "mobilenet_v2": (64, "features.7"),
    "mobilenet_v3_small": (64, "features.4"),
    "regnet_y_400mf": (64, "trunk_output.block2"),
    "resnet34": (64, "layer2"),
    "resnext50_32x4d": (64, "layer3"),
    "shufflenet_v2_x0_5": (64, "stage3"),
    "squeezenet1_1": (64, "features.7"),
    "swin_t": (64, "features.3"),
    "swin_v2_t": (64, "features.3"),
    "vgg11": (64, "features.10"),
    "vit_b_32": (224, "encoder.layers.encoder_layer_5"),
    "wide_resnet50_2": (64, "layer3"),
}
CUT = FAMILIES | {f"timm/{name}": (size, layer) for name, (size, _, layer, _) in KINDS.items() if name not in LARGE}


@pytest.mark.slow
@pytest.mark.parametrize("architecture", CUT)
def test_both_parts_together_are_the_network(architecture: str) -> None:
    size, layer = CUT[architecture]
    torch.manual_seed(0)
    network = network_from_tensors(architecture, build_network(architecture, 3).state_dict(), 3)
    inputs = torch.randn(2, 3, size, size)
    with torch.no_grad():
        expected = network.eval()(inputs)
    for freeze in ("backbone", layer):
        cut = cut_network(network, architecture, freeze)
        with torch.no_grad():
            frozen = cut.frozen(inputs)
            assert torch.equal(cut.trained.eval()(frozen), expected)
        statistics = {key: value.clone() for key, value in network.named_buffers()}
        network.zero_grad()
        cut.trained.train()(frozen).sum().backward()
        for key, value in network.named_buffers():
            value.copy_(statistics[key])  # training moved those of batch normalisation
        learning = {key for key, parameter in network.named_parameters() if parameter.grad is not None}
        assert learning == cut.trained_keys & {key for key, _ in network.named_parameters()}
        assert head_keys(architecture) <= learning
        assert (learning == head_keys(architecture)) == (freeze == "backbone")


# A head that is a convolution, auxiliary heads that are left out, attention, dropout before the head.
TRAINED = ("squeezenet1_1", "googlenet", "swin_t", "mobilenet_v3_small")


@pytest.mark.slow
@pytest.mark.parametrize("architecture", TRAINED)
def test_networks_of_other_forms_train(ready: Workspace, architecture: str) -> None:
    ready.set(image__resize=64, image__crop=64, weights__architecture=architecture, finetune__epochs=1)
    prepare.main()
    weights.main()
    finetune.main()
    assert json.loads(finetune.METRICS.read_text())["epochs"] == 1
    assert read_model(finetune.FINETUNED).architecture == architecture


@pytest.mark.medium
def test_frozen_tensors_stay_and_all_others_change(ready: Workspace) -> None:
    ready.set(finetune__freeze="layer2", finetune__lr=0.1)
    finetune.main()
    before, after = read_model(finetune.BACKBONE).tensors, read_model(finetune.FINETUNED).tensors
    frozen = ("conv1", "bn1", "layer1", "layer2")
    for key in before.keys() - {"fc.weight", "fc.bias"}:
        assert torch.equal(before[key], after[key]) == key.startswith(frozen), key


@pytest.mark.medium
def test_cached_activations_train_as_fresh_ones_do(ready: Workspace) -> None:
    histories = []
    for cache_gib in (1.0, 0.0):
        ready.set(finetune__freeze="backbone", finetune__precision="float32", finetune__cache_gib=cache_gib)
        finetune.main()
        histories.append(pd.read_csv(finetune.HISTORY))
    # Batches of another size are rounded otherwise.
    assert (histories[0] - histories[1]).abs().to_numpy().max() < 1e-5


@pytest.mark.medium
def test_a_linear_probe_is_logistic_regression_on_the_networks_own_features(ready: Workspace) -> None:
    ready.set(finetune__freeze="backbone", finetune__precision="float32", finetune__batch_size=10, finetune__epochs=3)
    ready.set(finetune__lr=0.1)
    settings = params_file.load(AllParams)
    setup = read_setup(settings, SMALL)
    network = begin_run(setup, read_model(finetune.BACKBONE), settings.seed).network.eval()
    head, network.fc = network.fc, torch.nn.Identity()
    with torch.no_grad():
        features = network(to_input(setup.train.images, setup.transform))
    optimiser, losses = torch.optim.SGD(head.parameters(), lr=0.1, momentum=0.9), []
    for _ in range(3):
        loss = torch.nn.functional.cross_entropy(head(features), setup.train.labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    finetune.main()
    assert pd.read_csv(finetune.HISTORY)["train_loss"].to_list() == pytest.approx(losses, abs=1e-5)


@pytest.mark.medium
def test_what_thaws_trains_from_its_epoch_on(ready: Workspace) -> None:
    ready.set(finetune__freeze="backbone", finetune__epochs=2, finetune__precision="float32")
    finetune.main()
    frozen = pd.read_csv(finetune.HISTORY)
    ready.set(finetune__epochs=3, finetune__thaw_epoch=2)
    finetune.main()
    thawed, tensors = pd.read_csv(finetune.HISTORY), read_model(finetune.FINETUNED).tensors
    assert thawed.iloc[:2].equals(frozen)
    assert not torch.equal(tensors["conv1.0.weight"], read_model(finetune.BACKBONE).tensors["conv1.0.weight"])


@pytest.mark.medium
def test_frozen_statistics_stay_while_the_weights_learn(ready: Workspace) -> None:
    ready.set(finetune__freeze_statistics=True, finetune__lr=0.1)
    finetune.main()
    before, after = read_model(finetune.BACKBONE).tensors, read_model(finetune.FINETUNED).tensors
    for key in before.keys() - {"fc.weight", "fc.bias"}:
        is_statistic = key.endswith(("running_mean", "running_var", "num_batches_tracked"))
        assert torch.equal(before[key], after[key]) == is_statistic, key


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ("layer9", "a layer that resnet18 lacks; did you mean layer"),
        ("nothing like it", "a layer that resnet18 lacks; it has x, conv1, bn1"),
        ("layer3.0.conv1", "past which the network has another path: choose a whole block"),
        ("fc", "behind which nothing is trained: choose an earlier layer"),
    ],
)
def test_a_layer_that_cannot_be_frozen_up_to_is_refused(freeze: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        cut_network(build_network("resnet18", 2), "resnet18", freeze)


@pytest.mark.medium
def test_the_checkpoint_of_a_linear_probe_holds_the_head_alone(
    ready: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    save = finetune.Checkpoints.save

    def save_and_weigh(self: finetune.Checkpoints, state: dict[str, object]) -> None:
        save(self, state)
        sizes.append(self.path.stat().st_size)

    monkeypatch.setattr(finetune.Checkpoints, "save", save_and_weigh)
    ready.set(finetune__freeze="backbone")
    finetune.main()
    assert max(sizes) < 100_000 < Path(finetune.FINETUNED).stat().st_size
