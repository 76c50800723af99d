"""How long it takes from a folder of photographs to a val accuracy, end to end, side by side with other loops.

    python -m benchmarks.time_to_accuracy run FOLDER RESULTS SEEDS VARIANT ...
    python -m benchmarks.time_to_accuracy table RESULTS

FOLDER holds train/ and val/ with class folders. For each of SEEDS (as 0,1,2) the variants run in turn, each as whole
processes, from the weights of timm/tf_efficientnet_lite0 that the environment holds; what came out is appended to
RESULTS, a file of JSON lines, of which `table` makes the table of benchmarks/README.md. The loops of
`benchmarks.fine_tuning_loops` are variants (PEERS_PYTHON names the interpreter that has fastai, TIMM_TRAIN timm's
train.py), and each of RECIPES is `dvc repro finetune` in a new clone of this repository, with empty caches.
`RECIPE again` is the same where the checks and the weights are there from an earlier run.
"""

import json
import os
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path

import numpy as np
import yaml
from torchvision.datasets import ImageFolder

from plumbline.model.model_file import read_model
from plumbline.results.intervals import difference_of_shares, share_with_interval
from plumbline.training.device_and_precision import choose_compute
from plumbline.training.inference import logits_of
from plumbline.training.splits import read_splits

PROJECT = Path(__file__).parents[1]
ARCHITECTURE = "timm/tf_efficientnet_lite0"
LOOPS = ("homework", "small_first", "tutorial", "tutorial_fixed", "timm", "fastai")
RECIPES: dict[str, dict[str, object]] = {
    "frozen": {"freeze": "backbone", "lr": 0.01},
    "probe": {"head": "probe", "epochs": 0},
    "last_stage": {"head": "probe", "freeze": "blocks.5", "freeze_statistics": True, "epochs": 5, "lr": 0.0001},
    "lp_ft": {"head": "probe", "freeze_statistics": True, "epochs": 2, "lr": 0.0001},
}
IMAGE = dict.fromkeys(("resize", "crop", "interpolation", "mean", "std"), "pretrained")
VAL_LINES = {  # how each prints a val accuracy, as a share or in percent
    "dvc": r"-- Phase:val -- .*Acc:([\d.]+)",
    "loop": r"^val ([\d.]+)$",
}
CONFIDENCE = 0.95


def timed_run(command: list[str], folder: Path, line: str, scale: float) -> dict[str, object]:
    """Run a command, and return its seconds, its processor seconds, and when it printed which val accuracy."""
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONUNBUFFERED": "1", "OMP_WAIT_POLICY": "passive"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    accuracies, last = [], ""
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for printed in process.stdout:
            if match := re.search(line, printed):
                accuracies.append([time.perf_counter() - start, float(match[1]) / scale])
                print(f"{accuracies[-1][0]:.0f} s: val {accuracies[-1][1]:.4f}", file=sys.stderr)
            last = printed
    seconds = time.perf_counter() - start
    if process.returncode:
        sys.exit(f"{command} ended with {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor_seconds": spent, "val": accuracies, "last_line": last}


def run_loop(variant: str, images: Path, weights: Path, seed: int) -> dict[str, object]:
    """Run one of `benchmarks.fine_tuning_loops`."""
    python = os.environ.get("PEERS_PYTHON", sys.executable) if variant == "fastai" else sys.executable
    command = [python, "-m", "benchmarks.fine_tuning_loops", variant, str(images), str(weights), str(seed)]
    found = timed_run(command, PROJECT, VAL_LINES["loop"], 1)
    return found | {"wrong": json.loads(found.pop("last_line"))}


def new_clone(folder: Path, images: Path, recipe: dict[str, object], seed: int) -> None:
    """Clone this repository as it is committed, and write the recipe into its params.yaml."""
    subprocess.run(["git", "clone", "--quiet", str(PROJECT), str(folder)], check=True)
    path = folder / "params.yaml"
    parameters = yaml.safe_load(path.read_text()) | {"seed": seed}
    parameters["data"]["root"] = str(images)
    parameters["weights"] |= {"architecture": ARCHITECTURE, "source": "imagenet"}
    parameters["image"] |= IMAGE
    parameters["finetune"] |= recipe
    path.write_text(yaml.safe_dump(parameters, sort_keys=False))


def run_recipe(variant: str, images: Path, seed: int, folder: Path) -> dict[str, object]:
    """Run `dvc repro finetune` in a new clone, and then the model on val, untimed."""
    name, _, again = variant.partition(" ")
    new_clone(folder, images, RECIPES[name], seed)
    if again:
        earlier = ["digits", "backprop", "convolution", "weight_decay", "weights"]
        subprocess.run(["dvc", "repro", "--quiet", *earlier], cwd=folder, check=True, stdout=sys.stderr)
    found = timed_run(["dvc", "repro", "finetune"], folder, VAL_LINES["dvc"], 100)
    del found["last_line"]
    model, val = read_model(folder / "models/finetuned.safetensors"), read_splits(folder / "data/prepared")["val"]
    compute = choose_compute("float32")
    logits = logits_of(compute.place(model.network()), val.images, model.transform, compute)
    wrong = (logits.argmax(1) != val.labels).tolist()
    return found | {"wrong": [path for path, is_wrong in zip(val.paths, wrong, strict=True) if is_wrong]}


def run_variant(variant: str, images: Path, weights: Path, seed: int) -> dict[str, object]:
    """Run one variant with one seed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "clone")
        if variant in LOOPS:
            return run_loop(variant, images, weights, seed)
        return run_recipe(variant, images, seed, folder)


def run_all(images: Path, results: Path, seeds: list[int], variants: list[str]) -> None:
    """Run the variants in turn, seed by seed, and append what came out."""
    paths = [str(Path(path).relative_to(images)) for path, _ in ImageFolder(images / "val").samples]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "clone")
        new_clone(folder, images, {}, seed=0)
        subprocess.run(["dvc", "repro", "--quiet", "weights"], cwd=folder, check=True, stdout=sys.stderr)
        for seed in seeds:
            for variant in variants:
                found = run_variant(variant, images, folder / "models/backbone.safetensors", seed)
                found |= {"variant": variant, "seed": seed, "images": len(paths), "load": os.getloadavg()[0]}
                with results.open("a") as file:
                    file.write(json.dumps(found) + "\n")
                print(f"{variant}, seed {seed}: {found['seconds']:.1f} s, val {found['val'][-1][1]}", file=sys.stderr)


def final_accuracy(run: dict) -> float:
    """Return the val accuracy of the network that a run leaves."""
    return 1 - len(run["wrong"]) / run["images"] if "wrong" in run else run["val"][-1][1]


def seconds_until_it_stays(run: dict, aim: float) -> float | None:
    """Return the seconds until the val accuracy reaches `aim` and stays there; None if it does not."""
    found = None
    for seconds, accuracy in run["val"]:
        found = (found or seconds) if accuracy >= aim - 1e-6 else None
    return found


def difference(run: dict, homework: dict) -> str:
    """Return how much more is right than with the homework's loop on the same images, with Newcombe's interval."""
    if "wrong" not in run:
        return ""
    places = sorted({*run["wrong"], *homework["wrong"]})
    before, after = (np.ones(run["images"], dtype=bool) for _ in range(2))
    for i, path in enumerate(places):  # which image stands where does not matter
        before[i], after[i] = path not in homework["wrong"], path not in run["wrong"]
    found = difference_of_shares(before, after, CONFIDENCE)
    return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def spread(values: list[float], write: Callable[[float], str] = "{:.0f}".format) -> str:
    """Return the median of values, with the least and the largest of several."""
    middle = write(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({write(min(values))} to {write(max(values))})"


def rows(runs: list[dict]) -> Iterator[str]:
    """Yield a line of the table for each variant."""
    homework = {run["seed"]: run for run in runs if run["variant"] == "homework"}
    reference = homework[min(homework)]
    for variant, group in groupby(sorted(runs, key=lambda run: run["variant"]), key=lambda run: run["variant"]):
        own = list(group)
        first = min(own, key=lambda run: run["seed"])
        accuracy = share_with_interval(round(final_accuracy(first) * first["images"]), first["images"], CONFIDENCE)
        reached = []
        for run in own:
            aim = final_accuracy(homework.get(run["seed"], reference)) - 1 / run["images"]
            reached.append(seconds_until_it_stays(run, aim))
        until = spread(reached) if None not in reached else "not in all" if any(reached) else "never"
        yield " | ".join(
            [
                f"| {variant}",
                str(len(own)),
                f"{accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f})",
                spread([final_accuracy(run) for run in own], "{:.3f}".format),
                difference(first, reference),
                spread([run["seconds"] for run in own]),
                spread([run["processor_seconds"] for run in own]),
                f"{until} |",
            ]
        )


def main() -> None:
    match sys.argv[1:]:
        case ["run", images, results, seeds, *variants]:
            run_all(Path(images).resolve(), Path(results), [int(seed) for seed in seeds.split(",")], variants)
        case ["table", results]:
            print("\n".join(rows([json.loads(line) for line in Path(results).read_text().splitlines()])))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
