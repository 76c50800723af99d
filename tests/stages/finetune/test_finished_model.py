"""What the model file holds beside the weights comes from one pass over val and one over some of train, or from none."""

import pytest
import torch

from plumbline.training.compute import choose_compute
from plumbline.training.inference import logits_and_features
from stages.finetune import finished_model
from stages.finetune.finished_model import finished
from stages.finetune.probe_head import ProbeHead
from stages.finetune.unknown_images import some_of_each_class
from tests.support.models import small_model, split_of_noise


def test_each_image_passes_once_and_none_where_the_probes_features_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    model, train, val, passed = small_model(), split_of_noise(30, 1), split_of_noise(9, 2), []

    def counted(network, head, images, *others):
        passed.append(len(images))
        return logits_and_features(network, head, images, *others)

    monkeypatch.setattr(finished_model, "logits_and_features", counted)
    plain = finished(model, train, val)
    assert passed == [30, 9]
    network, compute = model.network(), choose_compute("float32")
    made = {
        name: logits_and_features(network, "fc", split.images, model.transform, compute)
        for name, split in (("train", train), ("val", val))
    }
    logits, features = ({name: both[place] for name, both in made.items()} for place in (0, 1))
    features["train"] = features["train"][some_of_each_class(train.labels.numpy())]
    of_probe = finished(model, train, val, ProbeHead({}, logits, features))
    assert passed == [30, 9]
    assert of_probe.temperature == plain.temperature != model.temperature
    assert all(torch.equal(value, plain.tensors[key]) for key, value in of_probe.tensors.items())
