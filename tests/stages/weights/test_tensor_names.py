"""Good weight files, whatever a training program called their tensors; and what is said of those that do not fit."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from plumbline.model.model_file import read_model
from plumbline.run.errors import UserError
from stages.weights import __main__ as weights
from stages.weights.tensor_names import weights_among
from stages.weights.weight_file import read_dictionaries
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256

Tensors = dict[str, torch.Tensor]


def behind(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {f"{prefix}{key}": value for key, value in tensors.items()}


def with_names(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key.replace(old, new): value for key, value in tensors.items()}


def without_head(tensors: Tensors) -> Tensors:
    return {key: value for key, value in tensors.items() if not key.startswith("fc.")}


def with_long_head(tensors: Tensors) -> Tensors:
    head = nn.Sequential(nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 7)).state_dict()
    return without_head(tensors) | behind("fc.")(head)


PREFIXES = [
    "module.", "_orig_mod.", "model.", "backbone.", "encoder.", "student.", "net.", "_orig_mod.module.",
    "module._orig_mod.", "model.backbone._orig_mod.", "any.thing.at.all.", "module.encoder_q.",
]  # fmt: skip
NESTS = [
    "state_dict",
    "model",
    "net",
    "network",
    "model_state",
    "teacher",
    "ema",
    "model_ema",
    "ema_state_dict",
    "mine",
]


@pytest.mark.parametrize(
    ("change", "classes"),
    [
        *[pytest.param(behind(prefix), 7, id=prefix) for prefix in PREFIXES],
        *[pytest.param(lambda tensors, name=name: {name: tensors, "epoch": 3}, 7, id=name) for name in NESTS],
        pytest.param(lambda tensors: {"a": {"b": {"c": tensors}}}, 7, id="three nests"),
        pytest.param(lambda tensors: {"teacher": behind("module.backbone.")(tensors)}, 7, id="nest and prefix"),
        pytest.param(with_names("layer1.", "layer1._orig_mod."), 7, id="one layer compiled"),
        pytest.param(without_head, 2, id="no head"),
        pytest.param(lambda tensors: behind("encoder.")(without_head(tensors)), 2, id="no head behind a prefix"),
        pytest.param(with_names("fc.", "fc.0."), 2, id="a head in a Sequential"),
        pytest.param(with_long_head, 2, id="a head of two layers"),
        pytest.param(with_names("fc.", "last_linear."), 2, id="a head by another name"),
        pytest.param(lambda tensors: tensors | {"fc.weight": torch.zeros(7, 9)}, 2, id="a head of another width"),
        pytest.param(
            lambda tensors: (
                behind("backbone.")(tensors) | {"projector.0.weight": torch.zeros(3), "queue": torch.ones(2)}
            ),
            7,
            id="other modules beside the prefix",
        ),
    ],
)
def test_weights_are_found_behind_any_prefix_in_any_nest_and_without_a_head(
    workspace: Workspace, resnet18: Path, change: Callable[[Tensors], dict], classes: int
) -> None:
    tensors = torch.load(resnet18, weights_only=True)
    torch.save(change(tensors), "mine.pth")
    digest = sha256(Path("mine.pth"))
    workspace.set(weights__architecture="resnet18", weights__source="mine.pth", weights__sha256=digest)
    weights.main()
    model = read_model(BACKBONE)
    assert len(model.classes) == classes
    for key, value in without_head(tensors).items():
        assert torch.equal(model.tensors[key], value)
    assert (classes == 2) or torch.equal(model.tensors["fc.weight"], tensors["fc.weight"])


@pytest.mark.medium
def test_what_torch_wraps_a_network_in_is_read(tmp_path: Path) -> None:
    network = torchvision.models.resnet18(num_classes=3)
    for wrapped in (AveragedModel(network), nn.DataParallel(network), torch.compile(network), nn.Sequential(network)):
        torch.save(wrapped.state_dict(), tmp_path / "a.pth")
        found, classes = weights_among(read_dictionaries(tmp_path / "a.pth", "a"), "resnet18", "a")
        assert classes == 3
        assert found.keys() == network.state_dict().keys()
        assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


@pytest.mark.medium
@pytest.mark.filterwarnings("default")  # torchvision's own, in two families
@pytest.mark.parametrize("architecture", ["alexnet", "googlenet", "mobilenet_v3_small", "squeezenet1_1", "vit_b_32"])
def test_every_family_is_found_behind_a_prefix_and_with_another_head(architecture: str) -> None:
    options = {"init_weights": False} if architecture == "googlenet" else {}  # with its auxiliary heads
    tensors = torchvision.models.get_model(architecture, num_classes=5, **options).state_dict()
    found, classes = weights_among({"": behind("model.")(tensors)}, architecture, "a")
    assert classes == 5
    head = {"alexnet": "classifier.6.", "mobilenet_v3_small": "classifier.3.", "squeezenet1_1": "classifier.1."}.get(
        architecture, {"googlenet": "fc.", "vit_b_32": "heads.head."}.get(architecture)
    )
    again, classes = weights_among({"": with_names(head, f"{head}0.")(tensors)}, architecture, "a")
    assert classes == 2
    assert again.keys() == found.keys()
    assert all(torch.equal(again[key], found[key]) for key in found if not key.startswith(head))


def test_of_several_networks_the_first_usual_one_is_taken_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (torchvision.models.resnet18(num_classes=3).state_dict() for _ in range(2))
    found, _ = weights_among({"": behind("encoder_q.")(first) | behind("encoder_k.")(second)}, "resnet18", "moco.pth")
    assert torch.equal(found["conv1.weight"], first["conv1.weight"])
    assert capsys.readouterr().err == "moco.pth holds encoder_q, encoder_k: takes the first\n"


def test_the_order_of_nests_is_the_usual_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (torchvision.models.resnet18(num_classes=3).state_dict() for _ in range(2))
    torch.save({"optimizer": {"state": {0: {}}}, "model_ema": second, "model": first}, tmp_path / "a.pth")
    found, _ = weights_among(read_dictionaries(tmp_path / "a.pth", "a.pth"), "resnet18", "a.pth")
    assert torch.equal(found["conv1.weight"], first["conv1.weight"])
    assert capsys.readouterr().err == "a.pth holds model, model_ema: takes the first\n"


def test_a_plain_copy_beside_a_wrapped_one_is_not_mixed_with_it() -> None:
    first, second = (torchvision.models.resnet18(num_classes=3).state_dict() for _ in range(2))
    found, _ = weights_among({"": first | behind("module.")(second)}, "resnet18", "a")
    assert all(torch.equal(found[key], first[key]) for key in first)


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (
            {"vision.patch.weight": torch.zeros(1)},
            "its 1 names begin with vision.patch.weight; expected are conv1.weight",
        ),
        (torchvision.models.resnet34().state_dict(), "the weights hold layer1.2.bn1.bias, which resnet18 lacks"),
        (torchvision.models.resnet50().state_dict(), "the weights hold layer1.0.bn3.bias, which resnet18 lacks"),
        (torchvision.models.squeezenet1_1().state_dict(), "its 52 names begin with features.0.weight, features.0.bias"),
    ],
)
def test_weights_of_another_network_are_refused_with_their_names(tensors: Tensors, message: str) -> None:
    for prefix in ("", "model.module."):
        with pytest.raises(UserError) as error:
            weights_among({"": behind(prefix)(tensors)}, "resnet18", "a")
        assert message.replace("begin with ", f"begin with {prefix}") in str(error.value).replace(f", {prefix}", ", ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_one_value_that_is_not_finite_is_refused_with_its_tensor(
    workspace: Workspace, resnet18: Path, suffix: str, value: float
) -> None:
    tensors = torch.load(resnet18, weights_only=True)
    tensors["layer3.0.bn1.running_var"][5] = value
    path = Path("mine").with_suffix(suffix)
    (torch.save if suffix == ".pth" else save_file)(tensors, path)
    workspace.set(weights__architecture="resnet18", weights__source=str(path), weights__sha256=sha256(path))
    Path("models").mkdir()
    path.rename(Path("..") / path)
    workspace.set(weights__source=f"../{path}")
    refused("1 of the 256 values of layer3.0.bn1.running_var are NaN or infinite")
