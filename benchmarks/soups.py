"""Whether the mean of several fine-tuned networks' weights is worth the time: greedy soups (Wortsman et al. 2022).

    python -m benchmarks.soups FOLDER [PARTITIONS]

FOLDER holds train/ and val/ with class folders of photographs. timm/tf_efficientnet_lite0 is fine-tuned by each of
RATES and SEEDS from the head that the probe finds, as the recipe `lp_ft` does. The images of val are parted at random
PARTITIONS times: one half chooses the best network and the soup, the other half judges both, and the probe and the
mean of all.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
import yaml

from benchmarks.time_to_accuracy import RECIPES, new_clone
from plumbline.model.model_file import Model, read_model
from plumbline.model.networks import network_from_tensors
from plumbline.model.unknown import network_tensors
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import logits_of
from plumbline.training.splits import read_splits

RATES = (0.001, 0.01, 0.03)
SEEDS = (0, 1, 2)
MODEL = Path("models/finetuned.safetensors")

Right = Callable[[frozenset[int]], np.ndarray]  # from some networks' numbers to a boolean for each image, (N,)


def fine_tuned(folder: Path, seed: int, recipe: dict[str, object]) -> Model:
    """Run `finetune` in a clone of the repository, and return the model that it writes."""
    path = folder / "params.yaml"
    parameters = yaml.safe_load(path.read_text()) | {"seed": seed}
    parameters["finetune"] |= recipe
    path.write_text(yaml.safe_dump(parameters, sort_keys=False))
    command = [sys.executable, "-m", "stages.finetune"]
    subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    return read_model(folder / MODEL)


def mean_of(models: list[Model]) -> dict[str, torch.Tensor]:
    """Return the mean of the networks' weights, entry by entry."""
    tensors = [network_tensors(model.tensors) for model in models]
    return {
        key: torch.stack([each[key] for each in tensors]).mean(0) if first.is_floating_point() else first
        for key, first in tensors[0].items()
    }


def greedy_soup(right: Right, networks: int, chosen: np.ndarray) -> frozenset[int]:
    """Return the soup: from the best network on, each that does not lower the share of the chosen images right."""
    order = sorted(range(networks), key=lambda i: -right(frozenset({i}))[chosen].mean())
    soup = frozenset(order[:1])
    for i in order[1:]:
        if right(soup | {i})[chosen].mean() >= right(soup)[chosen].mean():
            soup |= {i}
    return soup


def main() -> None:
    images, partitions = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    models, names = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "clone")
        new_clone(folder, images, RECIPES["probe"], seed=0)
        subprocess.run(["dvc", "repro", "--quiet", "finetune"], cwd=folder, check=True, stdout=sys.stderr)
        probe, val = read_model(folder / MODEL), read_splits(folder / "data/prepared")["val"]
        for rate in RATES:
            for seed in SEEDS:
                models.append(fine_tuned(folder, seed, RECIPES["lp_ft"] | {"lr": rate}))
                names.append(f"lr {rate}, seed {seed}")
    compute = choose_compute("float32")

    def rights(tensors: dict[str, torch.Tensor]) -> np.ndarray:
        network = compute.place(network_from_tensors(probe.architecture, tensors, len(probe.classes)))
        return (logits_of(network, val.images, probe.transform, compute).argmax(1) == val.labels).numpy()

    @cache
    def right(soup: frozenset[int]) -> np.ndarray:
        return rights(mean_of([models[i] for i in sorted(soup)]))

    of_probe, of_all = rights(network_tensors(probe.tensors)), right(frozenset(range(len(models))))
    for label, found in [("probe", of_probe), *((names[i], right(frozenset({i}))) for i in range(len(models)))]:
        print(f"{label}: {found.sum()} of {len(found)}, {(found != of_probe).sum()} unlike the probe")
    generator, rows, sizes = np.random.default_rng(0), [], []
    for _ in range(partitions):
        order = generator.permutation(len(val.labels))
        chosen, judged = np.split(order, [len(order) // 2])
        soup = greedy_soup(right, len(models), chosen)
        best = frozenset({max(range(len(models)), key=lambda i: right(frozenset({i}))[chosen].mean())})
        sizes.append(len(soup))
        rows.append([found[judged].mean() for found in (of_probe, right(best), right(soup), of_all)])
    for label, shares in zip(("probe", "best network", "greedy soup", "mean of all"), np.array(rows).T, strict=True):
        print(f"{label}: {shares.mean():.4f}, deviation over the {partitions} partitions {shares.std(ddof=1):.4f}")
    print(f"networks in a soup: {min(sizes)} to {max(sizes)}, {np.mean(sizes):.1f} on average")


if __name__ == "__main__":
    main()
