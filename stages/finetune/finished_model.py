"""Give the trained model what its file holds beside the weights: temperature, score of unknown images, val images.

All come from one pass over val and one over some of the training images. Where the kept network is the probe's, before
its first update, what the probe was fitted on serves in their place.
"""

import sys
from dataclasses import replace

import torch

from plumbline.model.head import head_name
from plumbline.model.model_file import Model
from plumbline.model.unknown import score_tensors
from plumbline.model.val_images import along, val_images, val_tensors
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import logits_and_features
from plumbline.training.splits import Split
from plumbline.training.temperature import caveat, fit_temperature
from stages.finetune.probe_head import ProbeHead
from stages.finetune.unknown_images import fit_score, main_directions, some_of_each_class


def finished(model: Model, train: Split, val: Split, probe_head: ProbeHead | None = None) -> Model:
    """Return the model with what was fitted on val and train, computed in float32 as the model is evaluated.

    `probe_head` is given where the network is the backbone with this head. Prints a line where val says little.
    """
    compute, labels = choose_compute("float32"), val.labels.cpu()
    chosen = torch.from_numpy(some_of_each_class(train.labels.cpu().numpy()))
    if probe_head is None:
        network, head = compute.place(model.network()), head_name(model.architecture)
        few = train.images[chosen.to(train.images.device)]
        _, train_features = logits_and_features(network, head, few, model.transform, compute)
        logits, val_features = logits_and_features(network, head, val.images, model.transform, compute)
    else:
        logits, train_features, val_features = probe_head.logits["val"], *probe_head.features.values()
    temperature = fit_temperature(logits, labels)
    if line := caveat(temperature, logits, labels):
        print(line, file=sys.stderr)
    score = fit_score(train_features, train.labels.cpu()[chosen], val_features, compute)
    directions = main_directions(train_features)
    val_summary = val_images(val.images, labels, logits, temperature)._replace(
        size=None if val.shorter_sides is None else val.shorter_sides.float(),
        features=along(val_features.cpu(), directions),
        directions=directions,
    )
    return replace(
        model, temperature=temperature, tensors=model.tensors | score_tensors(score) | val_tensors(val_summary)
    )
