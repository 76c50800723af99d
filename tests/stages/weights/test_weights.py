"""The weights stage: each source of weights, and what is refused."""

import os
from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file
from torch import nn

from plumbline.model.model_file import read_model
from plumbline.run.errors import UserError
from stages.digits import __main__ as digits
from stages.weights import __main__ as weights
from stages.weights import pretraining
from stages.weights.tensor_names import plain_name
from stages.weights.weight_file import read_dictionaries
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_path_is_taken_with_its_sha256_and_refused_without(workspace: Workspace, resnet18: Path, suffix: str) -> None:
    path = Path("mine").with_suffix(suffix)
    tensors = torch.load(resnet18, weights_only=True)
    if suffix == ".pth":  # as DataParallel and many training programs save it
        torch.save({"epoch": 3, "state_dict": {f"module.{key}": value for key, value in tensors.items()}}, path)
    else:
        save_file(tensors, path)
    workspace.set(weights__architecture="resnet18", weights__source=str(path))
    with pytest.raises(UserError, match="set weights.sha256 to the file's sha256 as well"):
        weights.main()
    workspace.set(weights__sha256=sha256(path))
    weights.main()
    assert torch.equal(read_model(BACKBONE).tensors["conv1.weight"], tensors["conv1.weight"])


@pytest.mark.medium
def test_files_that_are_absent_damaged_or_of_another_network_are_one_line(workspace: Workspace, resnet18: Path) -> None:
    def use(path: Path) -> None:
        digest = sha256(path) if path.exists() else "0" * 64
        workspace.set(weights__source=str(path), weights__sha256=digest)

    use(Path("absent.pth"))
    refused("'absent.pth', and there is no such file")
    Path("cut.pth").write_bytes(resnet18.read_bytes()[:5000])
    use(Path("cut.pth"))
    refused("cut.pth is damaged, or no file of torch.save")
    torch.save([1, 2], "list.pth")
    use(Path("list.pth"))
    refused("list.pth holds no dictionary of tensors")
    with Path("huge.pth").open("wb") as file:
        os.truncate(file.fileno(), 2**40)
    workspace.set(weights__source="huge.pth")
    refused("huge.pth has 1,024 GiB, more than the 64 of any weights")
    use(resnet18)
    refused("the weights lack layer1.2.bn1.bias, which resnet34 has: they are of another network")
    torch.save({"a": torch.zeros(1)}, "other.pth")
    use(Path("other.pth"))
    refused(
        "other.pth holds no weights of resnet34: its 1 names begin with a; expected are conv1.weight, .*set weights.architecture"
    )


def test_a_pickle_that_would_run_code_is_refused_and_never_run(workspace: Workspace) -> None:
    class Malicious:
        def __reduce__(self) -> tuple:
            return Path.touch, (Path("ran"),)

    torch.save({"conv1.weight": Malicious()}, "bad.pth")
    workspace.set(weights__source="bad.pth", weights__sha256=sha256(Path("bad.pth")))
    refused("holds more than tensors, and loading it could run its code")
    assert not Path("ran").exists()


@pytest.mark.medium
def test_none_is_random_and_follows_the_seed(workspace: Workspace) -> None:
    def first_weights(seed: int) -> torch.Tensor:
        workspace.set(weights__architecture="resnet18", weights__source="none", seed=seed)
        weights.main()
        return read_model(BACKBONE).tensors["conv1.weight"]

    assert torch.equal(first_weights(0), first_weights(0))
    assert not torch.equal(first_weights(0), first_weights(1))


@pytest.mark.slow
def test_pretraining_on_the_digits_learns_and_gives_the_same_bytes_again(workspace: Workspace) -> None:
    workspace.set(weights__architecture="resnet18")
    workspace.set(weights__pretraining__epochs=1, weights__pretraining__image_size=32)
    digits.main()
    weights.main()
    first = BACKBONE.read_bytes()
    model = read_model(BACKBONE)
    images, labels, classes = pretraining.read_digits(Path("data/digits-source"), 32)
    assert model.classes == classes == list("01245679")
    inputs = images.permute(0, 3, 1, 2).float() / 255
    inputs = (inputs - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    # In training mode: after one epoch the running statistics still lag behind.
    with torch.no_grad():
        predicted = model.network().train()(inputs[::8]).argmax(dim=1)
    assert (predicted == labels[::8]).float().mean() > 0.5  # chance is 1/8
    weights.main()
    assert BACKBONE.read_bytes() == first


def test_jitter_keeps_the_shape_and_the_range_and_changes_every_image() -> None:
    inputs = torch.rand(5, 3, 16, 16)
    changed = pretraining.jittered(inputs)
    assert changed.shape == inputs.shape
    assert changed.min() >= inputs.min() and changed.max() <= inputs.max()
    assert ((changed - inputs).abs().amax(dim=(1, 2, 3)) > 0.1).all()


def test_densenets_old_names_are_read_as_torchvision_reads_them() -> None:
    network = torchvision.models.densenet121(num_classes=2)
    trained = {key for key in network.state_dict() if not key.endswith("num_batches_tracked")}
    old = {key.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2.") for key in trained}
    assert old != trained
    assert {plain_name(key, "") for key in old} == trained


def test_files_from_before_batch_normalisation_counted_are_read(workspace: Workspace, resnet18: Path) -> None:
    tensors = torch.load(resnet18, weights_only=True)
    torch.save({key: value for key, value in tensors.items() if "num_batches" not in key}, "old.pth")
    workspace.set(weights__architecture="resnet18", weights__source="old.pth", weights__sha256=sha256(Path("old.pth")))
    weights.main()
    assert read_model(BACKBONE).tensors.keys() == tensors.keys()


def test_an_architecture_without_imagenet_weights_or_without_a_name_is_one_line(workspace: Workspace) -> None:
    workspace.set(weights__architecture="vit_h_14", weights__source="imagenet")
    refused("torchvision has no IMAGENET1K_V1 weights for vit_h_14")
    workspace.set(weights__architecture="resnet43", weights__source="none")
    refused("'resnet43', which is none of torchvision's classifiers; did you mean resnet34")


def test_reading_never_unpickles_even_a_plain_module(tmp_path: Path) -> None:
    torch.save(nn.Linear(1, 1), tmp_path / "module.pth")
    with pytest.raises(UserError, match="holds more than tensors"):
        read_dictionaries(tmp_path / "module.pth", "module.pth")


@pytest.mark.medium
def test_an_image_size_that_the_network_does_not_take_is_one_line_before_training(workspace: Workspace) -> None:
    digits.main()
    workspace.set(weights__architecture="vit_b_16")
    refused("weights.pretraining.image_size is 96, which this weights.architecture does not take")
