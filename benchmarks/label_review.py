"""What a review of the first images gains, where a tenth of the training labels are swapped.

Run it in the project, after the pipeline has run with the default parameters:

    python -m benchmarks.label_review [SEED ...]

For each seed it copies the run, swaps the labels of a tenth of the training images of each class, trains a probe
(finetune.head probe, no epoch), takes the first 30 label doubts of the page, corrects them as somebody would who knows
the digits, and trains again. Prints how many of the swapped labels are among the 30, how probable it is that as many
images drawn at random hold at least as many, and the test accuracy before and after with its interval.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import hypergeom

from plumbline.data.prepared import read_manifest
from plumbline.params.data import Data
from plumbline.results.measures_file import read_measures
from plumbline.run import params_file
from plumbline.run.hashes import sha256_of
from plumbline.run.outputs import write_csv
from stages.prepare.corrections import COLUMNS
from stages.prepare.folder_structure import find_structure
from tests.conftest import change_params
from tools.review.__main__ import Params
from tools.review.images_to_review import images_to_review

PROJECT = Path.cwd()
REVIEWED = 30  # images
SHARE = 10  # one of so many labels is swapped
COPIED = ("data/digits", "data/digits-source", "data/certificates", "metrics", "plots")
FILES = ("data/pretrained_pixels.json", "models/backbone.safetensors")


def swap_labels(seed: int) -> set[str]:
    """Put a tenth of each class's training images into the other class's folder; return their hashes."""
    chance, folders = np.random.default_rng(seed), [Path("data/digits/train", name) for name in ("3", "8")]
    moved = []
    for folder, other in (folders, folders[::-1]):
        images = sorted(folder.glob("*.png"))
        moved += [(path, other / path.name) for path in chance.choice(images, len(images) // SHARE, replace=False)]
    for path, place in moved:
        path.rename(place)
    return {sha256_of(place) for _, place in moved}


def run_stages() -> str:
    """Train and evaluate; return the test accuracy with its interval."""
    for stage in ("prepare", "finetune", "evaluate"):
        environment = os.environ | {"PYTHONPATH": str(PROJECT)}
        subprocess.run([sys.executable, "-m", f"stages.{stage}"], env=environment, check=True, capture_output=True)
    accuracy = read_measures()["test", "accuracy"]
    interval = f"{accuracy.value:.3f}, {accuracy.low:.3f} to {accuracy.high:.3f}"
    return f"{round(accuracy.value * accuracy.images)} of {accuracy.images} test images right ({interval})"


def review(swapped: set[str], truth: dict[str, str], data: Data) -> tuple[int, int, int]:
    """Correct the first label doubts; return how many there are, how many of train, and how many were swapped."""
    found = images_to_review(find_structure(Path(data.root), data), [], REVIEWED)
    first = [image for image in found if image.reasons[0][0] == "doubt"][:REVIEWED]
    rows = [
        [own.paths[0], own.sha256, label, "keep" if [label] == own.labels else "relabel", ""]
        for own in first
        for label in [truth[own.sha256]]
    ]
    write_csv(Path("corrections.csv"), pd.DataFrame(rows, columns=[*COLUMNS]))
    return len(first), sum(own.split == "train" for own in first), sum(own.sha256 in swapped for own in first)


def measure(seed: int) -> None:
    """Swap, train, review and train again, in a copy of the run."""
    manifest = read_manifest()
    truth = dict(zip(manifest["sha256"], manifest["class"], strict=True))
    for name in COPIED:
        shutil.copytree(PROJECT / name, name, dirs_exist_ok=True)
    for name in FILES:
        Path(name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, name)
    shutil.copy(PROJECT / "params.yaml", "params.yaml")
    change_params(Path(), {"finetune.head": "probe", "finetune.epochs": 0})
    swapped = swap_labels(seed)
    before = run_stages()
    data = params_file.load(Params).data
    reviewed, of_train, found = review(swapped, truth, data)
    train = (manifest["split"] == "train").sum()
    by_chance = hypergeom.sf(found - 1, len(manifest), len(swapped), reviewed)
    by_chance_in_train = hypergeom.sf(found - 1, train, len(swapped), of_train)
    change_params(Path(), {"data.corrections": "corrections.csv"})
    after = run_stages()
    print(
        f"seed {seed}: {found} of {len(swapped)} swapped labels are among the first {reviewed} doubts ({of_train} of "
        f"train); by chance p = {by_chance:.2g}, among those of train p = {by_chance_in_train:.2g}; before {before}; "
        f"after {after}",
        flush=True,
    )


def main() -> None:
    for seed in [int(text) for text in sys.argv[1:]] or [0, 1, 2]:
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree("data/prepared", Path(folder, "data/prepared"))
            os.chdir(folder)
            try:
                measure(seed)
            finally:
                os.chdir(PROJECT)


if __name__ == "__main__":
    main()
