"""The probe's head: logistic regression on the pre-trained network's features, as the layer with which training begins.

Source: Kumar, Raghunathan, Jones, Ma and Liang 2022, "Fine-tuning can distort pretrained features and underperform
out-of-distribution", arXiv:2202.10054: a linear probe first, then the whole network.
"""

from dataclasses import dataclass

import torch
from torch import nn

from plumbline.data.prepared import read_classes
from plumbline.model.description import Transform
from plumbline.model.head import head_name
from plumbline.model.model_file import Model
from plumbline.model.networks import run_on_shapes, shape_of_network
from plumbline.run.errors import UserError, one_line
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import features_of
from plumbline.training.linear_probe import fitted_probe, linear_layer_of
from plumbline.training.splits import Split
from stages.finetune.run_state import Tensors
from stages.finetune.unknown_images import some_of_each_class


@dataclass(frozen=True)
class ProbeHead:
    """A fitted head, and what the network with it makes of the images before its first update."""

    tensors: Tensors  # float32, by their names in the network
    logits: dict[str, torch.Tensor]  # float64 (N, classes), of train and val
    features: dict[str, torch.Tensor]  # float32 (N, features), of some of train and of val; other processes have none


def fit_probe_head(backbone: Model, splits: dict[str, Split], transform: Transform, *, balanced: bool) -> ProbeHead:
    """Fit the head on train, with float32 features of unchanged images in the manifest's order.

    `balanced`: each class counts as much. Raises UserError for a network whose head is another kind of layer, and for
    a class without an image in train.
    """
    refuse_other_heads(backbone.architecture, transform.crop)
    labels = splits["train"].labels.cpu()
    refuse_missing_classes(labels, read_classes())
    compute, name = choose_compute("float32"), head_name(backbone.architecture)
    network = compute.place(backbone.network())
    features = {
        split_name: features_of(network, backbone.architecture, split.images, transform, compute)
        for split_name, split in splits.items()
    }
    probe = fitted_probe(features["train"].numpy(), labels.numpy(), balanced=balanced)
    weight, bias = (torch.from_numpy(values).float() for values in linear_layer_of(probe))
    logits = {
        split_name: nn.functional.linear(split_features, weight.double(), bias.double())
        for split_name, split_features in features.items()
    }
    chosen = some_of_each_class(labels.numpy())
    kept = {"train": features["train"][chosen].float(), "val": features["val"].float()}
    return ProbeHead({f"{name}.weight": weight, f"{name}.bias": bias}, logits, kept)


def refuse_other_heads(architecture: str, crop: int) -> None:
    """Raise UserError unless the logits are those of a linear layer with a bias, on one vector an image."""
    network, name = shape_of_network(architecture, 2), head_name(architecture)
    head, taken = network.get_submodule(name), []
    head.register_forward_pre_hook(lambda _, arguments: taken.append(arguments[0].shape))
    run_on_shapes(network, crop)
    if not (isinstance(head, nn.Linear) and head.bias is not None and taken == [(1, head.in_features)]):
        raise UserError(
            f"finetune.head is probe, which needs a head that is one linear layer on one vector an image, and {name} "
            f"of {architecture} is none: set finetune.head to random"
        )


def refuse_missing_classes(labels: torch.Tensor, classes: list[str]) -> None:
    """Raise UserError, naming them, for classes that no label (N,) is of."""
    images = torch.bincount(labels, minlength=len(classes))
    if missing := [one_line(classes[c]) for c in torch.nonzero(images == 0).flatten().tolist()]:
        raise UserError(
            f"finetune.head is probe, and the training images have none of {', '.join(missing)}: give train images of "
            "each class, or set finetune.head to random"
        )
