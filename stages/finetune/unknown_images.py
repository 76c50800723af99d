"""Fit how far an image is from the training images, once the training has ended.

The means and the covariance are those of training images, the distances beside which others are judged those of val.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import cholesky, solve_triangular
from sklearn.covariance import ledoit_wolf_shrinkage

from plumbline.model.model_file import Model
from plumbline.model.networks import head_name
from plumbline.model.unknown import NetworkWithDistance, UnknownScore, score_tensors, with_features
from plumbline.training.compute import choose_compute
from plumbline.training.inference import inputs_of, logits_and_distances
from plumbline.training.splits import Split

MOST = 10_000  # training images, or FEWEST of each class: more cost time, and change the means and covariance little
FEWEST = 2
LEAST_SHRINKAGE = 1e-3  # without it a direction in which few images differ not at all would count without limit


class Gaussians(NamedTuple):
    """One normal distribution a class, all of one covariance, as `UnknownScore` takes them; float64."""

    mean: np.ndarray  # (F,)
    whitening: np.ndarray  # (F, F)
    centres: np.ndarray  # (C, F)


def knowing_unknown(model: Model, train: Split, val: Split) -> Model:
    """Return the model with its score of unknown images, computed in float32 as the model is evaluated."""
    compute = choose_compute("float32")
    network, head = compute.place(model.network()).eval(), head_name(model.architecture)
    chosen = some_of_each_class(train.labels.cpu().numpy())
    few, features = train.images[torch.from_numpy(chosen).to(train.images.device)], []
    with torch.inference_mode():
        for inputs in inputs_of(few, model.transform, compute):
            features.append(with_features(network, head, inputs)[1].cpu().numpy())
    fitted = fit_gaussians(np.concatenate(features), train.labels.cpu().numpy()[chosen])
    score = UnknownScore(*(torch.from_numpy(each).float() for each in fitted), torch.empty(0))
    both = compute.place(NetworkWithDistance(network, head, score))
    distances = logits_and_distances(both, val.images, model.transform, compute)[1]
    score = UnknownScore(score.mean, score.whitening, score.centres, distances.sort().values)
    return replace(model, tensors=model.tensors | score_tensors(score))


def some_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Return the indices of at most MOST images, or FEWEST a class, evenly spread over each class's."""
    classes = np.unique(labels)
    each = max(MOST // len(classes), FEWEST)
    own = [np.flatnonzero(labels == label) for label in classes]
    return np.concatenate([
        indices[np.unique(np.linspace(0, len(indices) - 1, each).round().astype(int))] for indices in own
    ])  # fmt: skip


def fit_gaussians(features: np.ndarray, labels: np.ndarray) -> Gaussians:
    """Return the distributions of features (N, F), scaled to length 1, of classes by their labels (N,).

    The covariance is shrunk towards a multiple of the identity, as far as Ledoit and Wolf's formula says. Source:
    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices".
    """
    features = features.astype(np.float64)
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(lengths, 1e-12)  # as torch's normalize
    classes = np.unique(labels, return_inverse=True)[1]
    means = np.stack([directions[classes == c].mean(axis=0) for c in range(classes.max() + 1)])
    residuals = directions - means[classes]
    variance = np.square(residuals).mean()
    if variance == 0:  # each class has one image alone
        residuals, variance = np.zeros_like(residuals), 1.0
        shrinkage = 1.0
    else:
        shrinkage = max(ledoit_wolf_shrinkage(residuals, assume_centered=True), LEAST_SHRINKAGE)
    covariance = (1 - shrinkage) * (residuals.T @ residuals) / len(residuals)
    covariance[np.diag_indices_from(covariance)] += shrinkage * variance
    factor = cholesky(covariance, lower=True)
    whitening = solve_triangular(factor, np.eye(len(factor)), lower=True).T
    mean = directions.mean(axis=0)
    return Gaussians(mean, whitening, (means - mean) @ whitening)
