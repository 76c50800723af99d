"""What share of a training update its convolutions take, each run alone, and what takes the rest.

    python -m benchmarks.convolution_limit [ROUNDS]

ResNet34, batches of 16 at 224 pixels, in the precision and the layout that fine-tuning chooses. A convolution alone is
its forward pass and both gradients (the first layer's without the input's), on random inputs of the network's shapes;
no network can run faster than the sum of its convolutions. In turns with whole updates, ROUNDS times after one that is
left out. Prints the lines of benchmarks/README.md.
"""

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from plumbline.checks.multiply_adds import Layer, multiplying_layers
from plumbline.model.families import build_network
from plumbline.training.device_and_precision import Compute, choose_compute
from plumbline.training.loss_and_accuracy import classify

ARCHITECTURE, BATCH, SIZE = "resnet34", 16, 224
GIGA = 1e9
LISTED = 8  # operations


def convolutions() -> list[Layer]:
    """Return the network's convolutions, in their order."""
    with torch.device("meta"):
        network = build_network(ARCHITECTURE, 2)
    return [layer for layer in multiplying_layers(network, SIZE) if layer.kind == "convolution"]


def floating_point_operations(layers: list[Layer]) -> int:
    """Return the convolutions' operations in an update: two a multiply-add, three products but two in the first."""
    return 2 * BATCH * sum((3 if layer.input_gradient else 2) * layer.macs for layer in layers)


def seconds_of(work: Callable[[], object], device: torch.device) -> float:
    """Time one call."""
    synchronize = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    synchronize()
    start = time.perf_counter()
    work()
    synchronize()
    return time.perf_counter() - start


def alone(conv: nn.Module, layer: Layer, compute: Compute) -> Callable[[], None]:
    """Return what runs a convolution forwards and backwards on random values."""
    memory_format = compute.memory_format(training=True)
    inputs = torch.randn(BATCH, *layer.input_shape, device=compute.device).to(compute.precision)
    inputs = inputs.contiguous(memory_format=memory_format).requires_grad_(layer.input_gradient)

    def run() -> None:
        with compute.autocast():
            out = conv(inputs)
        out.backward(torch.ones_like(out))

    return run


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    torch.manual_seed(0)
    compute = choose_compute("auto")
    network = compute.place(build_network(ARCHITECTURE, 2))
    inputs = torch.randn(BATCH, 3, SIZE, SIZE, device=compute.device)
    labels = torch.randint(0, 2, (BATCH,), device=compute.device)
    layers = convolutions()
    kinds = {layer.name: (layer.input_shape, str(network.get_submodule(layer.name))) for layer in layers}
    counts = Counter(kinds.values())
    distinct = {kinds[layer.name]: layer for layer in layers}
    bare = {kind: alone(network.get_submodule(layer.name), layer, compute) for kind, layer in distinct.items()}
    optimiser = torch.optim.SGD(network.parameters(), lr=1e-3, momentum=0.9)

    def update() -> None:
        network.train()
        _, loss = classify(network, inputs, labels, compute)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    updates, sums = [], []
    for _ in range(rounds + 1):
        updates.append(seconds_of(update, compute.device))
        sums.append(sum(counts[kind] * seconds_of(run, compute.device) for kind, run in bare.items()))
    shares = [own / whole for own, whole in zip(sums[1:], updates[1:], strict=True)]
    operations = floating_point_operations(layers)
    print(f"{compute.device.type}, {compute.precision}, {torch.get_num_threads()} threads, {rounds} rounds")
    for name, values, unit in (
        ("an update", updates[1:], "s"),
        ("its convolutions, each alone", sums[1:], "s"),
        ("share", shares, ""),
        ("rate of the convolutions alone", [operations / value / GIGA for value in sums[1:]], "GFLOP/s"),
    ):
        print(f"{name}: {min(values):.3g} to {max(values):.3g}, median {statistics.median(values):.3g} {unit}")
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        update()
    events = sorted(profiled.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    for event in events[:LISTED]:
        print(f"{event.self_cpu_time_total / total:6.1%}  {event.key}")


if __name__ == "__main__":
    main()
