"""Which score tells unknown images from known ones, how often it is wrong about known ones, and what it costs.

    python -m benchmarks.unknown_images coverage [DRAWS]
    python -m benchmarks.unknown_images scores [NAME=FOLDER ...]
    python -m benchmarks.unknown_images cost FOLDER [ROUNDS]

`coverage` simulates: images of two classes with 64 normal features, of which 60 are for training and some are val; the
share of 1,000 new ones that is called unknown where 0.95 are to be kept. Beside it are the same of what was not taken:
p-values without the 1 of the image itself, the distances of the training images in place of val's, and, as the worst
case of a choice by val, the one of 20 independent trainings whose val images are nearest. It depends on no machine.

`scores` compares scores on the model of the current directory: its known images, those of folders, the negatives of
known images, noise, and scikit-learn's two sample photographs. The threshold is set, 200 times, on as many images as
val has, at most half, drawn from val and test; the known images are the others.

`cost` classifies a thousand photographs of a folder with `tools.predict` and the model of the current directory, in
turns with all that it says of an image (known or not, a set of classes, whether it looks like val) and with its class
alone, ROUNDS times (5). They print the tables of docs/statistics.md and benchmarks/README.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.special import logsumexp
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_sample_images
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from torch import nn

from benchmarks.prediction import IMAGES, copy_photographs
from plumbline.classifier import Classifier
from plumbline.images.class_folders import files_below
from plumbline.model.conformal_counts import largest_count
from plumbline.model.head import head_name
from plumbline.model.model_file import Model, read_model, write_model
from plumbline.model.unknown import UnknownScore, network_tensors
from plumbline.run.paths import FINETUNED
from plumbline.training.inference import features_of
from plumbline.training.splits import read_splits
from stages.finetune.unknown_images import fit_gaussians

KEEP = 0.95
SIZES = (24, 153, 1000)
DRAWS, NEW, FEATURES, TRAIN, EPOCHS = 2000, 1000, 64, 60, 20
MANY, THRESHOLDS = 150, 200  # images of each kind; draws of the images that set a threshold
ROUNDS = 5
SETS = "0.9"  # the coverage of the sets of classes; more needs more val images than the default has

Score = Callable[[np.ndarray], np.ndarray]  # from features (N, F) to numbers (N,), larger for what is less known


def shares_of_one_draw(val_images: int, chance: np.random.Generator) -> list[float]:
    """Return the share of new images that is called unknown, and the same of the three ways that were not taken."""

    def distances(score: UnknownScore, images: int) -> torch.Tensor:
        labels = chance.integers(0, 2, images)
        return score(torch.from_numpy(chance.normal(size=(images, FEATURES)) + 3 * directions[labels]))

    directions = np.eye(2, FEATURES)
    labels = np.arange(TRAIN) % 2
    train = chance.normal(size=(TRAIN, FEATURES)) + 3 * directions[labels]
    score = UnknownScore(*(torch.from_numpy(each).float() for each in fit_gaussians(train, labels)), torch.empty(0))
    val, new = distances(score, val_images), distances(score, NEW)
    best = min((distances(score, val_images) for _ in range(EPOCHS)), key=torch.mean)
    shares = [rejected(score, beside, new) for beside in (val, score(torch.from_numpy(train)), best)]
    without_1 = (val >= new[:, None]).sum(dim=1) <= (1 - KEEP) * val_images
    return [shares[0], without_1.double().mean().item(), *shares[1:]]


def rejected(score: UnknownScore, beside: torch.Tensor, new: torch.Tensor) -> float:
    """Return the share of new images that is unknown beside these distances."""
    own = UnknownScore(score.mean, score.whitening, score.centres, beside)
    return own.is_unknown(new, KEEP).double().mean().item()


def print_coverage(draws: int) -> None:
    """Print the simulated shares."""
    print("| val images | promised | called unknown | 90 % of the draws | without the 1 | beside train | best of 20 |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for images in SIZES:
        chance = np.random.default_rng(images)
        shares = np.array([shares_of_one_draw(images, chance) for _ in range(draws)])
        error = shares[:, 0].std() / np.sqrt(draws)
        low, high = np.quantile(shares[:, 0], [0.05, 0.95])
        promised = largest_count(KEEP, images) / (images + 1)
        own, *others = shares.mean(axis=0)
        cells = [f"{own:.4f} (error {error:.4f})", f"{low:.3f} to {high:.3f}", *(f"{share:.3f}" for share in others)]
        print(f"| {images:,} | {promised:.4f} | {' | '.join(cells)} |")


def scores_of(features: np.ndarray, labels: np.ndarray, head: nn.Module, temperature: float) -> dict[str, Score]:
    """Return the scores by name, fitted on training features (N, F) and labels (N,)."""
    weight, bias = head.weight.detach().double().flatten(1).numpy(), head.bias.detach().double().numpy()

    def logits(x: np.ndarray) -> np.ndarray:
        return x @ weight.T + bias

    def directions(x: np.ndarray) -> np.ndarray:
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def mahalanobis(of: Callable[[np.ndarray], np.ndarray]) -> Score:
        own = of(features)
        means = np.stack([own[labels == label].mean(axis=0) for label in np.unique(labels)])
        shrunk = LedoitWolf(assume_centered=True).fit(own - means[labels])
        return lambda x: np.min([shrunk.mahalanobis(of(x) - mean) for mean in means], axis=0)

    def nearest(k: int) -> Score:
        neighbours = NearestNeighbors(n_neighbors=k).fit(directions(features))
        return lambda x: neighbours.kneighbors(directions(x))[0][:, -1]

    return {
        "largest probability": lambda x: (
            -(logits(x) / temperature - logsumexp(logits(x) / temperature, 1)[:, None]).max(1)
        ),
        "energy": lambda x: -logsumexp(logits(x), axis=1),
        "nearest neighbour": nearest(1),
        "5th nearest neighbour": nearest(5),
        "Mahalanobis": mahalanobis(lambda x: x),
        "Mahalanobis, length 1": mahalanobis(directions),
    }


def images_of(classifier: Classifier, folders: list[str], known: np.ndarray) -> dict[str, np.ndarray]:
    """Return the unknown images by the name of their kind, uint8 (N, resize, resize, 3)."""
    found = {}
    for name, _, folder in (text.partition("=") for text in folders):
        files = list(files_below(Path(folder)))
        chosen = np.unique(np.linspace(0, len(files) - 1, MANY).astype(int))
        found[name] = np.stack([classifier.pixels(files[i]) for i in chosen])
    photographs = [np.ascontiguousarray(image) for image in load_sample_images().images]
    return found | {
        "negatives": 255 - known[np.unique(np.linspace(0, len(known) - 1, MANY).astype(int))],
        "noise": np.random.default_rng(0).integers(0, 256, (MANY, *known.shape[1:]), dtype=np.uint8),
        "two photographs": np.stack([classifier.pixels(image) for image in photographs]),
    }


def print_scores(folders: list[str]) -> None:
    """Print the share of each kind that each score rejects, with its deviation over the draws, and its AUROC."""
    model, splits = read_model(FINETUNED), read_splits()
    classifier = Classifier(without_score(model))

    def features(images: torch.Tensor) -> np.ndarray:
        network, compute = classifier.network, classifier.compute
        return features_of(network, model.architecture, images, model.transform, compute).numpy()

    known = torch.cat([splits[name].images for name in ("val", "test") if name in splits])
    of_known, train = features(known), features(splits["train"].images)
    kinds = images_of(classifier, folders, known.numpy())
    of_kinds = {name: features(torch.from_numpy(images)) for name, images in kinds.items()}
    head = classifier.network.get_submodule(head_name(model.architecture))
    few = min(len(splits["val"].labels), len(known) // 2)
    print(f"| score, threshold by {few} images | known | {' | '.join(kinds)} |")
    print(f"| --- | --- |{' --- |' * len(kinds)}")
    for name, score in scores_of(train, splits["train"].labels.numpy(), head, model.temperature).items():
        own, others = score(of_known), {kind: score(each) for kind, each in of_kinds.items()}
        chance, shares = np.random.default_rng(0), []
        for _ in range(THRESHOLDS):
            order = chance.permutation(len(own))
            threshold = np.sort(own[order[:few]])[-largest_count(KEEP, few)]
            shares.append([np.mean(each > threshold) for each in (own[order[few:]], *others.values())])
        cells = [
            f"{mean:.2f} ± {spread:.2f}" for mean, spread in zip(np.mean(shares, 0), np.std(shares, 0), strict=True)
        ]
        for place, each in enumerate(others.values(), 1):
            labels = np.repeat([0, 1], [len(own), len(each)])
            cells[place] += f" ({roc_auc_score(labels, np.concatenate([own, each])):.3f})"
        print(f"| {name} | {' | '.join(cells)} |")


def without_score(model: Model) -> Model:
    """Return the model as older versions wrote it: it knows nothing of distances and of its val images."""
    return replace(model, tensors=network_tensors(model.tensors))


def print_cost(source: Path, rounds: int) -> None:
    """Print how long a thousand images take with all that is said of them and without."""
    taken: dict[str, list[tuple[float, float]]] = {"without": [], "with": []}
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name) / "photographs", Path(name) / "without.safetensors"
        folder.mkdir()
        copy_photographs(source, folder)
        write_model(model, without_score(read_model(FINETUNED)))
        for _ in range(rounds):
            for kind, path in {"without": model, "with": FINETUNED}.items():
                command = [sys.executable, "-m", "tools.predict", folder, "--model", path, "--output", f"{name}/p.csv"]
                command += ["--coverage", SETS] if kind == "with" else []
                start, before = time.perf_counter(), os.times()
                subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
                after, wall = os.times(), time.perf_counter() - start
                busy = after.children_user + after.children_system - before.children_user - before.children_system
                taken[kind].append((wall, busy))
    print(f"| {IMAGES} images | minimum | median | maximum |")
    print("| --- | --- | --- | --- |")
    for place, what in enumerate(("seconds", "processor seconds")):
        own = {kind: [each[place] for each in times] for kind, times in taken.items()}
        own["with / without, of each round"] = [a / b for a, b in zip(own["with"], own["without"], strict=True)]
        for kind, values in own.items():
            row = (f"{value:.3g}" for value in (min(values), statistics.median(values), max(values)))
            print(f"| {what}, {kind} | {' | '.join(row)} |")


def main() -> None:
    match sys.argv[1:]:
        case ["coverage", *draws]:
            print_coverage(*map(int, draws or [DRAWS]))
        case ["scores", *folders]:
            print_scores(folders)
        case ["cost", folder, *rounds]:
            print_cost(Path(folder), *map(int, rounds or [ROUNDS]))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
