"""Measure how many images are called unknown: known ones of test, and three kinds that are unknown.

Those of the folder `evaluate.unknown.images`, if one is named; known images with inverted colours; and noise. Of each
kind a few are enough.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from plumbline.images.class_folders import files_below
from plumbline.images.decoded import decode, read_file
from plumbline.images.square import to_square
from plumbline.images.unreadable import Unreadable
from plumbline.model.conformal_counts import too_few_images
from plumbline.model.description import Transform
from plumbline.model.unknown import NetworkWithDistance, UnknownScore
from plumbline.results.intervals import clusters_within, share_of_images
from plumbline.results.measures_file import Measure, Measures
from plumbline.run.errors import UserError, one_line
from plumbline.training.device_and_precision import Compute
from plumbline.training.inference import logits_and_distances

MOST = 100  # images of each kind
PART = 1000  # images that are compared with all of val together: memory

Distances = dict[str, torch.Tensor]  # by split, or by kind of unknown images: float32 (N,)


def distances_of_unknown(
    network: NetworkWithDistance,
    known: torch.Tensor,
    folder: Path | None,
    transform: Transform,
    compute: Compute,
    seed: int,
) -> Distances:
    """Return the distances of images of each kind; `known`, uint8 (N, resize, resize, 3), are those to invert."""
    some = known[torch.from_numpy(spread(len(known)))]
    noise = np.random.default_rng(seed).integers(0, 256, (MOST, *known.shape[1:]), dtype=np.uint8)
    kinds = {} if folder is None else {"unknown": images_in(folder, transform)}
    kinds |= {"inverted": 255 - some, "noise": torch.from_numpy(noise)}
    return {kind: logits_and_distances(network, images, transform, compute)[1] for kind, images in kinds.items()}


def images_in(folder: Path, transform: Transform) -> torch.Tensor:
    """Return at most MOST of a folder's images, evenly spread, as `prepare` would have made them, uint8.

    Raises UserError for a folder that is not there or that gives no image.
    """
    if not folder.is_dir():
        raise UserError(f"evaluate.unknown.images: there is no folder {folder}: name one with images of no class")
    files = list(files_below(folder))
    images, unreadable = [], 0
    for number in spread(len(files)):
        try:
            rgb = decode(read_file(files[number]), ranges=transform.value_ranges).rgb
            images.append(np.asarray(to_square(rgb, transform.resize, transform.fit, transform.interpolation)))
        except Unreadable:
            unreadable += 1
    if not images:
        raise UserError(
            f"evaluate.unknown.images: none of the {len(files)} files in {folder} that were tried is an image"
        )
    if unreadable:
        print(
            one_line(
                f"evaluate.unknown.images: {unreadable} of {unreadable + len(images)} files in {folder} are no images"
            ),
            file=sys.stderr,
        )
    return torch.from_numpy(np.stack(images))


def spread(images: int) -> np.ndarray:
    """Return the indices of at most MOST of so many images, at equal steps."""
    return np.unique(np.linspace(0, images - 1, min(images, MOST)).round().astype(int))


def unknown_measures(
    score: UnknownScore,
    known: Distances,
    unknown: Distances,
    clusters: dict[str, np.ndarray | None],
    keep: float,
    confidence: float,
) -> Measures:
    """Return the shares of images that are called unknown, and the areas under the ROC curve by the distance.

    All stand beside the last split, test where there is one. How many of val are called so says nothing: val sets the
    threshold. Where val is too small to reject any image, the areas stand alone, and a line says so.
    """
    split = list(known)[-1]
    measures = {}
    for kind, distances in unknown.items():
        labels = np.repeat([0, 1], [len(known[split]), len(distances)])
        area = roc_auc_score(labels, torch.cat([known[split], distances]).cpu().numpy())
        measures[split, f"auroc_{kind}"] = Measure(float(area), len(distances))
    if line := too_few_images(keep, score.val_images):
        print(line, file=sys.stderr)
        return measures
    if split == "test":
        rejected = torch.cat([score.is_unknown(part, keep) for part in known[split].split(PART)]).cpu().numpy()
        measures[split, "rejected"] = share_of_images(rejected, clusters[split], confidence)
    for kind, distances in unknown.items():
        rejected = score.is_unknown(distances, keep).cpu().numpy()
        numbers = clusters[split] if kind == "inverted" else None
        of_kind = None if numbers is None else clusters_within(numbers[spread(len(numbers))])  # as their originals
        measures[split, f"rejected_{kind}"] = share_of_images(rejected, of_kind, confidence)
    return measures


def p_values(score: UnknownScore, distances: torch.Tensor) -> np.ndarray:
    """Return the p-values of images, float64 (N,)."""
    return torch.cat([score.count(part) for part in distances.split(PART)]).cpu().numpy() / (score.val_images + 1)


def line_of_unknown(measures: Measures, split: str, keep: float) -> str | None:
    """Return the line that the stage prints of them; None where nothing can be rejected."""
    if (split, "rejected_noise") not in measures:
        return None
    words = {"unknown": "of the unknown images", "inverted": "inverted", "noise": "of noise"}
    by_kind = {kind: measures.get((split, f"rejected_{kind}")) for kind in words}
    shares = ", ".join(f"{share.value:.3f} {words[kind]}" for kind, share in by_kind.items() if share)
    share_of_known = measures.get((split, "rejected"))
    of_known = (
        f"{share_of_known.value:.3f} of {share_of_known.images} known {split} images (the aim is at "
        f"most {1 - keep:.3g}), "
        if share_of_known
        else ""
    )
    return f"called unknown: {of_known}{shares}"
