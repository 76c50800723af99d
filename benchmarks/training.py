"""How fast fine-tuning is, end to end from image files to the last val accuracy, side by side with other loops.

    python -m benchmarks.training FOLDER [EPOCHS [ROUNDS [PROBE_EPOCHS]]]

FOLDER holds train/ and val/ with class folders of photographs. In turns, ROUNDS times: the homework's loop as printed;
the same with two workers for reading, PyTorch's tutorial; that with channels-last and, where the hardware has it,
bfloat16; this project's prepare and finetune stages, without a cache of decoded images; and a linear probe of
PROBE_EPOCHS. All start from the same ResNet34, and every one is a process of its own, whose start is timed too.
The probe is compared with the homework's loop at as many epochs, extended from its own seconds per epoch. Prints the
table of benchmarks/README.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from plumbline.run.certificates import certificate

PROJECT = Path(__file__).parents[1]
DEFAULTS = [2, 3, 20]  # epochs, rounds, epochs of the linear probe
PEERS = ("homework", "tutorial", "tuned")
PROBE = "plumbline, linear probe"
CHECKS = ("backprop", "convolution", "weight_decay")


def run_module(folder: Path, *command: str) -> str:
    """Run one of this project's modules in a folder, and return what it prints."""
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def set_up(folder: Path, images: Path) -> None:
    """Give a folder what `finetune` needs besides the images: parameters, a network, checks that have passed."""
    parameters = yaml.safe_load((PROJECT / "params.yaml").read_text())
    parameters["data"] |= {"root": str(images), "cache_gib": 0.0}
    parameters["weights"] |= {"architecture": "resnet34", "source": "none"}
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters, sort_keys=False))
    for check in CHECKS:
        path = folder / certificate(check)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    run_module(folder, "stages.weights")


def engine(folder: Path, epochs: int, freeze: str | None) -> dict[str, float]:
    """Prepare the images and fine-tune, and return finetune's metrics."""
    path = folder / "params.yaml"
    parameters = yaml.safe_load(path.read_text())
    parameters["finetune"] |= {"epochs": epochs, "freeze": freeze}
    path.write_text(yaml.safe_dump(parameters, sort_keys=False))
    run_module(folder, "stages.prepare")
    run_module(folder, "stages.finetune")
    return json.loads((folder / "metrics" / "finetune.json").read_text())


def main() -> None:
    images = Path(sys.argv[1]).resolve()
    given = [int(value) for value in sys.argv[2:]]
    epochs, rounds, probe_epochs = given + DEFAULTS[len(given) :]
    seconds: dict[str, list[float]] = {}
    homework_at_probe_epochs = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder, images)
        for _ in range(rounds):
            for variant in (*PEERS, "plumbline", PROBE):
                start = time.perf_counter()
                if variant in PEERS:
                    arguments = (str(images), str(epochs), "models/backbone.safetensors")
                    found = json.loads(run_module(folder, "benchmarks.peers", variant, *arguments))
                elif variant == "plumbline":
                    found = engine(folder, epochs, None)
                else:
                    found = engine(folder, probe_epochs, "backbone")
                seconds.setdefault(variant, []).append(time.perf_counter() - start)
                if variant == "homework":
                    more = (probe_epochs - epochs) * found["seconds_per_epoch"]
                    homework_at_probe_epochs.append(seconds[variant][-1] + more)
                loss = f"train loss {found['train_loss']:.4f}, val loss {found['val_loss']:.4f}"
                print(f"{variant}: {seconds[variant][-1]:.1f} s, {loss}", file=sys.stderr)
    print("| loop | minimum | median | maximum | homework / this, median of the rounds |")
    print("| --- | --- | --- | --- | --- |")
    for variant, own in seconds.items():
        homework = homework_at_probe_epochs if variant == PROBE else seconds["homework"]
        ratio = statistics.median(a / b for a, b in zip(homework, own, strict=True))
        print(f"| {variant} | {min(own):.1f} s | {statistics.median(own):.1f} s | {max(own):.1f} s | {ratio:.2f} |")


if __name__ == "__main__":
    main()
