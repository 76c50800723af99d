"""How long training takes beside other work, by how its threads wait for each other.

    python -m benchmarks.beside_other_work [ROUNDS]

In turns, ROUNDS times (3): twelve updates of ResNet34 on 16 images of 112 pixels, in a process alone, beside a second
one of its kind, and beside a program that keeps one processor busy; with OpenMP's own way of waiting, which spins, and
with the stages' way, which sleeps. Prints seconds: median, least and most.
"""

import os
import statistics
import subprocess
import sys

UPDATES = """
import time
import torch
from torchvision.models import resnet34

torch.manual_seed(0)
network = resnet34(num_classes=2)
inputs, labels = torch.randn(16, 3, 112, 112), torch.randint(0, 2, (16,))
optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

def update():
    optimiser.zero_grad()
    torch.nn.functional.cross_entropy(network(inputs), labels).backward()
    optimiser.step()

update()
start = time.perf_counter()
for _ in range(12):
    update()
print(time.perf_counter() - start)
"""
BUSY = "while True: pass"
WAITING = {"spins (OpenMP's default)": None, "sleeps (the stages')": "passive"}


def start(policy: str | None) -> subprocess.Popen:
    """Start the updates in a process of their own."""
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": policy} if policy else {}
    return subprocess.Popen([sys.executable, "-c", UPDATES], env=environment, stdout=subprocess.PIPE, text=True)


def seconds(processes: list[subprocess.Popen]) -> float:
    """Return the seconds of the slowest process."""
    return max(float(process.communicate()[0]) for process in processes)


def beside_a_busy_program(policy: str | None) -> float:
    """Return the seconds beside a program that keeps one processor busy."""
    busy = subprocess.Popen([sys.executable, "-c", BUSY])
    try:
        return seconds([start(policy)])
    finally:
        busy.kill()
        busy.wait()


SITUATIONS = {
    "alone": lambda policy: seconds([start(policy)]),
    "two at a time": lambda policy: seconds([start(policy), start(policy)]),
    "beside a busy program": beside_a_busy_program,
}


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found = {(waiting, situation): [] for waiting in WAITING for situation in SITUATIONS}
    for _ in range(rounds):
        for waiting, situation in found:
            found[waiting, situation].append(SITUATIONS[situation](WAITING[waiting]))
    for (waiting, situation), values in found.items():
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{waiting:26} {situation:24} {statistics.median(values):6.1f} s ({spread})")


if __name__ == "__main__":
    main()
