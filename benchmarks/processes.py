"""What a second process gains in training: updates per second of one and of two, with one thread each.

    python -m benchmarks.processes FOLDER [ROUNDS]

FOLDER holds train/ and val/ with class folders of photographs. ResNet34 from random weights, 224 pixels, batch 16,
float32. In turns, ROUNDS times (3), two epochs of: one process with one thread; two with one thread each; the same
without batch normalisation over both (finetune.freeze_statistics); one process with two threads. Seconds are those that
`finetune` notes, without its start. Then, in two processes, what the averaging of all gradients takes by itself.
Prints the tables of benchmarks/README.md.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import torch.distributed as dist
import yaml

from benchmarks.training import PROJECT, run_module, set_up
from plumbline.model.families import build_network

VARIANTS = {  # processes, threads of each, frozen statistics
    "1 process, 1 thread": (1, 1, False),
    "2 processes, 1 thread each": (2, 1, False),
    "1 process, 1 thread, frozen statistics": (1, 1, True),
    "2 processes, 1 thread each, frozen statistics": (2, 1, True),
    "1 process, 2 threads": (1, 2, False),
}
REPEATS, EPOCHS = 20, 2


def images_per_second(folder: Path, processes: int, threads: int, frozen: bool) -> float:
    """Train for two epochs, and return how many images of train passed in a second; the val phase is in it."""
    path = folder / "params.yaml"
    parameters = yaml.safe_load(path.read_text())
    parameters["finetune"] |= {
        "epochs": EPOCHS, "processes": processes, "freeze_statistics": frozen, "precision": "float32",
        "lr": 1e-6,  # random weights diverge with frozen statistics; the time does not hang on it
    }  # fmt: skip
    path.write_text(yaml.safe_dump(parameters, sort_keys=False))
    os.environ["OMP_NUM_THREADS"] = str(threads)
    run_module(folder, "stages.finetune")
    return json.loads((folder / "metrics/timing/finetune.json").read_text())["images_per_second"]


def time_messages() -> None:
    """Time, as one of two processes, what passes between them in an update of ResNet34: gradients, and statistics."""
    dist.init_process_group("gloo")
    network = build_network("resnet34", 2)
    gradients = torch.zeros(sum(parameter.numel() for parameter in network.parameters()))
    channels = [module.num_features for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    small = [torch.zeros(count) for count in channels for _ in range(5)]  # count, mean, variance; both gradients back
    found = {}
    for name, tensors in (("gradients", [gradients]), ("statistics", small)):
        seconds = []
        for _ in range(REPEATS):
            start = time.perf_counter()
            for tensor in tensors:
                dist.all_reduce(tensor)
            seconds.append(time.perf_counter() - start)
        found[name] = [min(seconds), statistics.median(seconds), max(seconds)]
    if dist.get_rank() == 0:
        print(json.dumps(found | {"layers": len(channels)}))
    dist.destroy_process_group()


def main() -> None:
    if "RANK" in os.environ:
        time_messages()
        return
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        set_up(folder, Path(sys.argv[1]).resolve())
        run_module(folder, "stages.prepare")
        for _ in range(rounds):
            for variant, (processes, threads, frozen) in VARIANTS.items():
                rates.setdefault(variant, []).append(images_per_second(folder, processes, threads, frozen))
                print(f"{variant}: {rates[variant][-1]} images/s", file=sys.stderr)
    os.environ["OMP_NUM_THREADS"] = "1"
    print("| | minimum | median | maximum | images/s |\n| --- | --- | --- | --- | --- |")
    for variant, own in rates.items():
        print(f"| {variant} | {min(own)} | {statistics.median(own)} | {max(own)} | |")
    command = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "benchmarks.processes"]
    subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=True)


if __name__ == "__main__":
    main()
