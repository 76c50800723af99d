"""Find a network's weights among a file's tensors, whatever a training program put before their names.

A checkpoint may hold several dictionaries, and each may hold several networks: `module.encoder_q.conv1.weight`
beside `module.encoder_k.conv1.weight`. The first whose names fit the architecture is taken.
"""

import re
import sys
from collections import Counter
from dataclasses import dataclass

import torch

from plumbline.model.description import MOST_CLASSES
from plumbline.model.families import WITHOUT_AUXILIARY, build_network
from plumbline.model.head import head_keys
from plumbline.model.networks import refuse_not_finite, refuse_other_tensors, shape_of_network
from plumbline.run.errors import UserError, one_line

Tensors = dict[str, torch.Tensor]

# What torch puts into names where it wraps a module, anywhere in the network.
WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# What a head is called, where somebody put another one in its place.
HEADS = {"fc", "head", "heads", "classifier", "last_linear", "linear", "projector", "predictor"}
FEW = 3  # names in a message


@dataclass(frozen=True)
class Candidate:
    """The tensors below one prefix, by the names that follow it."""

    place: str  # where the dictionary stands in the file, and the prefix
    tensors: Tensors


def weights_among(dictionaries: dict[str, Tensors], architecture: str, source: str) -> tuple[Tensors, int]:
    """Return the network's weights, and how many classes their head has: two, if the file has none that fits.

    Raises UserError if no dictionary holds weights of the architecture, or if they are not finite.
    """
    head, shape = head_keys(architecture), shape_of_network(architecture, 2).state_dict()
    backbone = shape.keys() - head
    candidates = [
        Candidate(each.place, without_auxiliary(architecture, each.tensors))
        for place, tensors in dictionaries.items()
        for each in below_prefixes(place, with_batch_counters(tensors), backbone)
    ]
    fitting = [each for each in candidates if backbone == without_head(each.tensors, backbone).keys()]
    if len(fitting) > 1:
        places = ", ".join(each.place for each in fitting)
        print(one_line(f"{source} holds {places}: takes the first"), file=sys.stderr)
    if not candidates:
        raise UserError(names_differ(dictionaries, list(shape), architecture, source))
    chosen = fitting[0] if fitting else max(candidates, key=lambda each: len(each.tensors.keys() & backbone))
    tensors, classes = with_head(chosen.tensors, backbone, head, architecture)
    refuse_other_tensors(architecture, tensors, classes)
    refuse_not_finite(tensors, source)
    return tensors, classes


def below_prefixes(place: str, tensors: Tensors, backbone: set[str]) -> list[Candidate]:
    """Return the tensors below each prefix that at least half of the backbone's names stand behind."""
    prefixes = {key: prefixes_of(key) for key in tensors}
    hits = Counter(
        prefix
        for key, key_prefixes in prefixes.items()
        for prefix in key_prefixes
        if plain_name(key, prefix) in backbone
    )
    return [
        Candidate(
            f"{place}.{prefix}".strip(".") or "the tensors",
            {plain_name(key, prefix): value for key, value in tensors.items() if prefix in prefixes[key]},
        )
        for prefix, count in hits.items()
        if count >= len(backbone) / 2
    ]


def prefixes_of(key: str) -> list[str]:
    """Return what may be before a tensor's name: nothing, or what ends with a dot; wrappers belong to it."""
    parts = key.split(".")
    return ["".join(f"{part}." for part in parts[:i]) for i in range(len(parts)) if parts[i] not in WRAPPERS]


def plain_name(key: str, prefix: str) -> str:
    """Return a tensor's name behind its prefix, as torchvision has it today and without wrappers.

    DenseNet's files still say `norm.1` for `norm1`. Source: torchvision.models.densenet, _load_state_dict.
    """
    name = ".".join(part for part in key.removeprefix(prefix).split(".") if part not in WRAPPERS)
    return re.sub(
        r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.(?:weight|bias|running_mean|running_var))$", r"\1\2", name
    )


def with_batch_counters(tensors: Tensors) -> Tensors:
    """Return the tensors with the counter that files from before 2018 lack in each batch normalisation.

    Source: torch.nn.modules.batchnorm, _load_from_state_dict.
    """
    norms = [key.removesuffix("running_mean") for key in tensors if key.endswith("running_mean")]
    return {f"{norm}num_batches_tracked": torch.tensor(0) for norm in norms} | tensors


def without_auxiliary(architecture: str, tensors: Tensors) -> Tensors:
    """Return the tensors without those of the auxiliary heads that our networks leave out."""
    if architecture not in WITHOUT_AUXILIARY:
        return tensors
    return {key: value for key, value in tensors.items() if not key.lower().startswith("aux")}


def without_head(tensors: Tensors, backbone: set[str]) -> Tensors:
    """Return the tensors without those of the head, or of what somebody put in its place."""
    return {k: value for k, value in tensors.items() if k in backbone or k.partition(".")[0] not in HEADS}


def with_head(tensors: Tensors, backbone: set[str], head: set[str], architecture: str) -> tuple[Tensors, int]:
    """Return the tensors with the architecture's own head, and its classes; a random one where another stands."""
    others = without_head(tensors, backbone)
    head_tensors = {key: tensors[key] for key in head if key in tensors}
    classes = max((value.shape[0] for value in head_tensors.values() if value.ndim), default=0)
    if head_tensors.keys() == head and 1 <= classes <= MOST_CLASSES:
        shape = shape_of_network(architecture, classes).state_dict()
        if all(head_tensors[key].shape == shape[key].shape for key in head):
            return others | head_tensors, classes
    classes = 2  # the head is replaced in any case
    fresh = build_network(architecture, classes).state_dict()
    return others | {key: fresh[key] for key in head}, classes


def names_differ(dictionaries: dict[str, Tensors], expected: list[str], architecture: str, source: str) -> str:
    """Return the line for a file in which no prefix makes the names fit: what they are, and what they should be."""
    place, tensors = max(dictionaries.items(), key=lambda item: len(item[1]))
    where = f" under {place}" if place else ""
    return (
        f"{source} holds no weights of {architecture}: its {len(tensors)} names{where} begin with "
        f"{few(list(tensors))}; expected are {few(expected)}, also behind a prefix: "
        "set weights.architecture to its network"
    )


def few(names: list[str]) -> str:
    """Return the first names, for a message."""
    return ", ".join(name[:60] for name in names[:FEW])
