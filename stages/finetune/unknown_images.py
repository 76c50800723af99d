"""Fit how far an image is from the training images, once the training has ended.

The means and the covariance are those of training images, the distances beside which others are judged those of val.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy.linalg import cholesky, eigh, solve_triangular
from sklearn.covariance import ledoit_wolf_shrinkage
from torch import nn

from plumbline.model.unknown import UnknownScore
from plumbline.model.val_images import DIRECTIONS
from plumbline.training.device_and_precision import Compute

MOST = 10_000  # training images, or FEWEST of each class: more cost time, and change the means and covariance little
FEWEST = 2
LEAST_SHRINKAGE = 1e-3  # without it a direction in which few images differ not at all would count without limit


class Gaussians(NamedTuple):
    """One normal distribution a class, all of one covariance, as `UnknownScore` takes them; float64."""

    mean: np.ndarray  # (F,)
    whitening: np.ndarray  # (F, F)
    centres: np.ndarray  # (C, F)


def fit_score(
    train_features: torch.Tensor, train_labels: torch.Tensor, val_features: torch.Tensor, compute: Compute
) -> UnknownScore:
    """Return the score that is fitted on training features (N, F) with labels (N,), beside val features (V, F)."""
    fitted = fit_gaussians(train_features.cpu().numpy(), train_labels.numpy())
    score = UnknownScore(*(torch.from_numpy(each).float() for each in fitted), torch.empty(0)).to(compute.device)
    with torch.inference_mode():  # in batches as large as those in which images are judged
        parts = compute.send(val_features).split(compute.evaluation_batch_size)
        distances = torch.cat([score(part) for part in parts])
    return UnknownScore(score.mean, score.whitening, score.centres, distances.sort().values)


def some_of_each_class(labels: np.ndarray) -> np.ndarray:
    """Return the indices of at most MOST images, or FEWEST a class, evenly spread over each class's."""
    classes = np.unique(labels)
    each = max(MOST // len(classes), FEWEST)
    indices_by_class = [np.flatnonzero(labels == label) for label in classes]
    return np.concatenate([
        indices[np.unique(np.linspace(0, len(indices) - 1, each).round().astype(int))] for indices in indices_by_class
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


def main_directions(features: torch.Tensor) -> torch.Tensor:
    """Return the directions in which features (N, F), scaled to length 1, differ most, float32 (F, K), the first first.

    They are the first principal components; of the largest entry of each the sign is positive.
    """
    scaled = nn.functional.normalize(features.double().cpu(), dim=1).numpy()
    covariance = np.atleast_2d(np.cov(scaled, rowvar=False, ddof=0))
    last = len(covariance) - 1
    components = eigh(covariance, subset_by_index=[max(last - DIRECTIONS + 1, 0), last])[1][:, ::-1]
    signs = np.sign(components[np.abs(components).argmax(axis=0), np.arange(components.shape[1])])
    return torch.from_numpy(components * signs).float()
