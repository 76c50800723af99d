"""What differs between the two families of networks: torchvision's classifiers, and timm's, `timm/<name>`.

How one is built, traced, and divided into layers, and whether it ends in a feature map. timm is imported only for its
own networks.
"""

import difflib
import math
from types import ModuleType
from typing import Any

import torch
import torchvision
from torch import nn
from torchvision.models import VisionTransformer

from plumbline.model.timm_names import is_timm, refuse_unknown_timm_name, timm_name
from plumbline.run.errors import UserError

# A fine-tuned network has one head: these two come without the auxiliary ones that torchvision adds. Their
# ImageNet weights expect pixels from -1 to 1, which `transform_input` makes of the usual normalisation.
WITHOUT_AUXILIARY = {
    "googlenet": {"aux_logits": False, "transform_input": True, "init_weights": True},
    "inception_v3": {"aux_logits": False, "transform_input": True, "init_weights": True},
}
FITS = {"center": "crop", "squash": "squash", "border": "pad"}  # image.fit, by timm's crop_mode


def import_timm() -> ModuleType:
    """Return timm. Raises UserError if it is not installed, or does not import."""
    try:
        import timm
    except ImportError as error:
        raise UserError(
            f"weights.architecture is one of timm's, and timm cannot be imported ({error}): run `make`, which "
            "installs requirements.txt, or choose one of torchvision's classifiers"
        ) from None
    return timm


def build_network(architecture: str, classes: int) -> nn.Module:
    """Return a randomly initialised network with `classes` outputs; torch's seed decides the values.

    Raises UserError for a name that is neither one of torchvision's classifiers nor `timm/` and one of timm's.
    """
    if is_timm(architecture):
        return build_timm_network(architecture, classes)
    refuse_unknown_of_torchvision(architecture)
    return torchvision.models.get_model(
        architecture, weights=None, num_classes=classes, **WITHOUT_AUXILIARY.get(architecture, {})
    )


def refuse_unknown_of_torchvision(architecture: str) -> None:
    """Raise UserError for a name that is none of torchvision's classifiers."""
    known = torchvision.models.list_models(module=torchvision.models)
    if architecture not in known:
        close = difflib.get_close_matches(architecture, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"torchvision has {', '.join(known)}"
        raise UserError(f"weights.architecture is {architecture!r}, which is none of torchvision's classifiers; {hint}")


def build_timm_network(architecture: str, classes: int) -> nn.Module:
    """Return one of timm's networks. Raises UserError for an unknown name, and for one that needs what is not here."""
    timm = import_timm()
    if not timm.is_model(timm_name(architecture)) or "." in architecture:
        refuse_unknown_timm_name(architecture)
    try:
        return timm.create_model(timm_name(architecture), num_classes=classes)
    except (ImportError, TypeError, AssertionError, RuntimeError) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"timm cannot build {architecture} as a classifier ({why}): choose another") from None


def published_weights(architecture: str, tag: str | None) -> Any:
    """Return timm's description of the weights that it publishes under a tag; None: the tag that timm prefers.

    Raises UserError for a tag that the network does not have.
    """
    name, timm = timm_name(architecture), import_timm()
    if not timm.is_model(name) or "." in name:
        refuse_unknown_timm_name(architecture)
    known = timm.models.get_arch_pretrained_cfgs(name)
    if tag is not None and f"{name}.{tag}" not in known:
        tags = ", ".join(each.removeprefix(f"{name}.") for each in known) or "none"
        raise UserError(f"weights.tag is {tag!r}, which timm does not have for {architecture}: it has {tags}")
    return timm.get_pretrained_cfg(name if tag is None else f"{name}.{tag}")


def published_transform(architecture: str, tag: str | None) -> dict[str, Any]:
    """Return what `pretrained` stands for in section image: how the published weights see an image.

    Raises UserError for a network of torchvision's that has no published weights of ImageNet, and as the above.
    """
    if is_timm(architecture):
        config = published_weights(architecture, tag)
        crop = config.input_size[-1]
        size = {"resize": math.floor(crop / config.crop_pct), "crop": crop, "interpolation": config.interpolation}
        return size | {"mean": list(config.mean), "std": list(config.std), "fit": FITS[config.crop_mode]}
    preset = torchvision_weights(architecture).transforms()
    size = {"resize": preset.resize_size[0], "crop": preset.crop_size[0], "interpolation": preset.interpolation.value}
    return size | {"mean": list(preset.mean), "std": list(preset.std)}


def torchvision_weights(architecture: str) -> Any:
    """Return torchvision's description of the weights that it publishes. Raises UserError if there are none."""
    refuse_unknown_of_torchvision(architecture)
    weights = torchvision.models.get_model_weights(architecture).__members__.get("IMAGENET1K_V1")
    if weights is None:
        raise UserError(
            f"torchvision has no IMAGENET1K_V1 weights for {architecture}: choose another weights.architecture"
        )
    return weights


def crop_in_pixels(wish: int | str, architecture: str, tag: str | None) -> int:
    """Return the value of image.crop, which may be `pretrained`."""
    return wish if isinstance(wish, int) else published_transform(architecture, tag)["crop"]


def is_of_timm(network: nn.Module) -> bool:
    """Return whether a network is one of timm's: each of those carries the description of its weights."""
    return hasattr(network, "pretrained_cfg")


def usual_size(network: nn.Module) -> int:
    """Return the size of images, in pixels, that a network was made for."""
    return network.pretrained_cfg["input_size"][-1] if is_of_timm(network) else 224


def layers_in_order(network: nn.Module) -> list[list[nn.Parameter]]:
    """Return the parameters of each layer, from the input to the head.

    A layer is a module with parameters of its own, in the order in which torchvision defines them. In timm's networks
    it is what timm itself takes for one in its layer-wise learning rates: a block, as a rule.
    """
    if not hasattr(network, "group_matcher"):  # as a few of timm's networks
        layers = [list(module.parameters(recurse=False)) for module in network.modules()]
        return [parameters for parameters in layers if parameters]
    places = import_timm().models.group_parameters(network, network.group_matcher(coarse=False), reverse=True)
    layers = [[] for _ in range(max(places.values()) + 1)]
    for name, parameter in network.named_parameters():
        layers[places.get(name, -1)].append(parameter)  # what timm puts nowhere is the head's
    return [parameters for parameters in layers if parameters]


def traced_whole(network: nn.Module) -> dict[str, Any]:
    """Return the options of a torch.fx tracer: which modules and functions of a network it does not look into."""
    if not is_of_timm(network):
        return {"leaf_modules": [], "autowrap_functions": []}
    models = import_timm().models
    return {"leaf_modules": models.get_notrace_modules(), "autowrap_functions": models.get_notrace_functions()}


def ends_in_feature_map(network: nn.Module, inputs: torch.Tensor) -> bool:
    """Return whether the head takes a feature map (B, channels, height, width), pooled, rather than tokens."""
    if not is_of_timm(network):
        return not isinstance(network, VisionTransformer)
    with torch.no_grad():
        features = network.forward_features(inputs)
    return isinstance(features, torch.Tensor) and features.dim() == 4 and features.shape[1] == network.num_features
