"""What the model file holds beside the weights comes from one pass over val and one over some of train, or from none."""

import types

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.preprocessing import normalize

from plumbline.classifier import Classifier
from plumbline.model.val_images import ValImages
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import logits_and_features
from stages.finetune import finished_model, unknown_images
from stages.finetune.finished_model import finished
from stages.finetune.probe_head import ProbeHead
from stages.finetune.unknown_images import some_of_each_class
from tests.support.models import small_model, split_of_noise
from tests.support.planted import planted


def test_each_image_passes_once_and_none_where_the_probes_features_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    # A network whose rounding does not hang on which images stand in a batch.
    model, passed = small_model(architecture="resnet18"), []
    train, val = split_of_noise(30, 1), split_of_noise(9, 2)

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


def test_what_is_said_of_the_val_images_is_what_the_classifier_says_of_them() -> None:
    train, val = split_of_noise(30, 1), split_of_noise(19, 2)
    model = finished(small_model(architecture="resnet18"), train, val)
    found = {name: model.tensors[f"val.{name}"].numpy() for name in ValImages._fields}
    assert found["size"].tolist() == [40.0] * 19
    assert found["labels"].tolist() == val.labels.tolist()
    predictions = Classifier(model, coverage=0.9).classify(val.images.numpy())
    labelled = [(one, model.classes[label]) for one, label in zip(predictions, val.labels, strict=True)]
    own = [one.probabilities[name] / one.probability for one, name in labelled]
    np.testing.assert_allclose(found["relative_probability"], own, rtol=1e-5)
    np.testing.assert_allclose(found["probability"], [one.probability for one in predictions], rtol=1e-5)
    np.testing.assert_allclose(found["brightness"], val.images.numpy().mean(axis=(1, 2, 3)) / 255, rtol=1e-6)
    network, compute = model.network(), choose_compute("float32")
    taken = logits_and_features(network, "fc", val.images, model.transform, compute)[1].numpy()
    along = taken / np.linalg.norm(taken, axis=1, keepdims=True) @ found["directions"]
    np.testing.assert_allclose(found["features"], along, atol=1e-6)
    np.testing.assert_allclose(found["features"], [one.features for one in predictions], atol=1e-6)
    # Of 19 images the coverage lets two of 20 be outside: val's own two with the least have one outside.
    held = [name in one.prediction_set for one, name in labelled]
    assert sum(held) == 18 and not held[int(np.argmin(own))]


def refuse_other_directions(module: types.ModuleType = unknown_images) -> None:
    """Assert that the directions are scikit-learn's principal components of features that are scaled to length 1."""
    features = torch.from_numpy(np.random.default_rng(0).normal(1, np.arange(1, 9), size=(50, 8)))
    found = module.main_directions(features).numpy()
    theirs = PCA(3).fit(normalize(features.numpy())).components_.T
    np.testing.assert_allclose(found, theirs * np.sign((found * theirs).sum(axis=0)), atol=1e-5)
    assert all(own[np.abs(own).argmax()] > 0 for own in found.T)
    assert module.main_directions(features[:, :2]).shape == (2, 2)
    assert module.main_directions(features[:, :1]).tolist() == [[1.0]]


def test_the_directions_are_the_principal_components() -> None:
    refuse_other_directions()


FAULTS = {
    "the directions in which they differ least": ("[max(last - DIRECTIONS + 1, 0), last]", "[0, min(2, last)]"),
    "the last first": ("[1][:, ::-1]", "[1]"),
    "not scaled": ("nn.functional.normalize(features.double().cpu(), dim=1)", "features.double().cpu()"),
    "images for features": ("rowvar=False", "rowvar=True"),
    "one column of features is 0-dimensional": ("np.atleast_2d(np.cov(scaled, rowvar=False, ddof=0))", "np.cov(scaled, rowvar=False, ddof=0)"),
    "any sign": ("components * signs", "-components * signs"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_caught(fault: str) -> None:
    with pytest.raises((AssertionError, ValueError, IndexError, TypeError)):
        refuse_other_directions(planted(unknown_images, *FAULTS[fault]))
