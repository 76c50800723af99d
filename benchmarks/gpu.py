"""How fast training and evaluation are on a GPU: this project beside a bare step on one batch that lies on the GPU.

    python -m benchmarks.gpu [ROUNDS [SECONDS]]

Images are noise, of params.yaml's size. `this project` is `update` of the training loop and `logits_of`, which
evaluation and prediction use. `bare` is forward, backward and step, or forward alone, on one batch that is there as the
network takes it, with the same precision, memory format and algorithms. `bare, waits` reads each step's loss, as
`update` does. `bare, any algorithm` lets cuDNN choose those that are fastest, also such as cannot be repeated to the
bit. `homework` is its loop's step, batch by batch from memory. Each is measured ROUNDS times, in turns, for about
SECONDS. Prints tables in Markdown, each row once it is measured: medians, with the lowest and the highest.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import cycle

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from plumbline.model.description import Transform
from plumbline.model.model_file import Model
from plumbline.model.networks import build_network
from plumbline.params.all import AllParams
from plumbline.run import params_file
from plumbline.training.device_and_precision import Compute, choose_compute, make_repeatable
from plumbline.training.inference import logits_of
from plumbline.training.loss_and_accuracy import classify
from plumbline.training.network_input import to_input
from plumbline.training.splits import Split
from stages.finetune.minibatches import part_for_epoch
from stages.finetune.optimiser_and_schedule import build_optimiser
from stages.finetune.training_loop import to_training_mode, update
from stages.finetune.training_setup import Setup, begin_run, on_gpu_if_they_fit

ARCHITECTURES = ("resnet34", "convnext_tiny", "vit_b_16")
IMAGES, CLASSES, BATCH, HOMEWORKS_BATCH = 512, 10, 128, 16
TRAINED = (("resnet34", BATCH), ("resnet34", HOMEWORKS_BATCH), ("convnext_tiny", BATCH), ("vit_b_16", BATCH))
EVALUATED_IN = ("float32", "auto")
DEFAULTS = [3, 0.3]  # rounds, seconds

Step = Callable[[], int]  # does some work and returns on how many images


def setup_of_noise(architecture: str, batch_size: int, images: int = IMAGES) -> Setup:
    """Return a setup for training on noise that lies on the GPU."""
    settings = params_file.load(AllParams)
    size = settings.image.resize
    pixels = torch.randint(0, 256, (images, size, size, 3), dtype=torch.uint8)
    split = Split(pixels, torch.arange(images) % CLASSES, [""] * images, [""] * images)
    compute = choose_compute(settings.finetune.precision)
    train, val = on_gpu_if_they_fit([split, split], compute.device)
    recipe = settings.finetune.model_copy(update={"batch_size": batch_size})
    return Setup(train, val, architecture, CLASSES, Transform(**settings.image.model_dump()), recipe, compute, None)


def network_on(device: torch.device, architecture: str) -> nn.Module:
    """Return a network with random weights, drawn on the device: a processor takes seconds for them."""
    with device:
        return build_network(architecture, CLASSES)


def our_training(setup: Setup) -> Step:
    """Return one update of the training loop."""
    backbone = Model(
        architecture=setup.architecture,
        classes=[str(label) for label in range(CLASSES)],
        transform=setup.transform,
        parameters={},
        source="none",
        sha256="",
        tensors=build_network(setup.architecture, CLASSES).state_dict(),
    )
    run = begin_run(setup, backbone, seed=0)
    part = part_for_epoch(0, run, setup, lambda: None)
    to_training_mode(part.trained, setup.recipe)
    batches = cycle(torch.randperm(len(setup.train.labels)).split(setup.recipe.batch_size))

    def step() -> int:
        indices = next(batches)
        update(run, setup, part, indices)
        return len(indices)

    return step


def bare_training(setup: Setup, *, waits: bool = False) -> Step:
    """Return forward, backward and step on one batch that lies on the GPU as the network takes it."""
    network = setup.compute.place(network_on(setup.compute.device, setup.architecture)).train()
    optimiser = build_optimiser(network, setup.recipe)
    inputs, labels = one_batch(setup, setup.recipe.batch_size, setup.compute)

    def step() -> int:
        optimiser.zero_grad()
        _, loss = classify(network, inputs, labels, setup.compute)
        loss.backward()
        optimiser.step()
        if waits:
            loss.item()
        return len(labels)

    return step


def homeworks_training(setup: Setup) -> Step:
    """Return the homework's update, batch by batch from the processor's memory, in torch's own float32 (TF32)."""
    network = network_on(setup.compute.device, setup.architecture).train()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    few = setup.train.images[:256].cpu()
    data = TensorDataset(to_input(few, setup.transform), setup.train.labels[: len(few)])
    batches = cycle(DataLoader(data, setup.recipe.batch_size, shuffle=True))
    running = [0.0, 0]

    def step() -> int:
        torch.backends.cudnn.allow_tf32 = True
        inputs, labels = (values.to(setup.compute.device) for values in next(batches))
        optimizer.zero_grad()
        outputs = network(inputs)
        _, preds = torch.max(outputs, 1)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running[0] += loss.item() * inputs.size(0)
        running[1] += torch.sum(preds == labels.data).item()
        torch.backends.cudnn.allow_tf32 = False
        return len(labels)

    return step


def our_evaluation(setup: Setup, compute: Compute) -> Step:
    """Return the logits of all images."""
    network = compute.place(network_on(compute.device, setup.architecture))
    return lambda: len(logits_of(network, setup.val.images, setup.transform, compute))


def bare_evaluation(setup: Setup, compute: Compute, memory_format: torch.memory_format) -> Step:
    """Return forward on one batch that lies on the GPU as the network takes it."""
    network = network_on(compute.device, setup.architecture).to(memory_format=memory_format).eval()
    inputs, labels = one_batch(setup, compute.evaluation_batch_size, compute)
    inputs = inputs.contiguous(memory_format=memory_format)

    def step() -> int:
        with torch.inference_mode(), compute.autocast():
            network(inputs)
        return len(labels)

    return step


def one_batch(setup: Setup, size: int, compute: Compute) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a batch of inputs and labels on the device."""
    inputs = to_input(compute.send(setup.train.images[:size]), setup.transform)
    labels = compute.send(setup.train.labels[:size])
    return inputs.contiguous(memory_format=compute.memory_format(training=True)), labels


@contextmanager
def any_algorithm() -> Iterator[None]:
    """Let torch take algorithms that cannot be repeated to the bit, and cuDNN try which is fastest."""
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False


def in_any_algorithm(step: Step) -> Step:
    """Return the step with whatever algorithm is fastest."""

    def with_any() -> int:
        with any_algorithm():
            return step()

    return with_any


def rates(steps: dict[str, Step], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return each step's images per second in each round; the rounds take turns."""
    times = {name: times_in(seconds, step) for name, step in steps.items()}
    measured = [{name: rate(step, times[name]) for name, step in steps.items()} for _ in range(rounds)]
    return {name: [of_round[name] for of_round in measured] for name in steps}


def times_in(seconds: float, step: Step) -> int:
    """Warm up, and return how often the step runs in about so many seconds."""
    for _ in range(2):
        step()
    images = step()
    return max(2, round(seconds * rate(step, 1) / images))


def rate(step: Step, times: int) -> float:
    """Return the images per second over so many steps. The GPU is waited for at the end alone."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    wait()
    start = time.perf_counter()
    images = sum(step() for _ in range(times))
    wait()
    return images / (time.perf_counter() - start)


def print_table(title: str, rows: Iterator[tuple[str, dict[str, list[float]]]]) -> None:
    """Print a table with one row a case and one column a step; the first column's share of the second's is the last."""
    for number, (name, found) in enumerate(rows):
        first, second, *_ = columns = list(found)
        if number == 0:
            print(f"\n{title}, images/s\n\n| | {' | '.join(columns)} | {first} / {second} |")
            print(f"| --- |{' ---: |' * (len(columns) + 1)}")
        cells = [f"{statistics.median(each):,.0f} ({min(each):,.0f} to {max(each):,.0f})" for each in found.values()]
        share = statistics.median(a / b for a, b in zip(found[first], found[second], strict=True))
        print(f"| {name} | {' | '.join(cells)} | {share:.2f} |", flush=True)


def training_rates(architecture: str, batch: int, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Measure training."""
    setup = setup_of_noise(architecture, batch)
    steps = {"this project": our_training(setup), "bare": bare_training(setup)}
    steps["bare, waits"] = bare_training(setup, waits=True)
    steps["bare, any algorithm"] = in_any_algorithm(bare_training(setup))
    steps["homework"] = homeworks_training(setup)
    return rates(steps, rounds, seconds)


def evaluation_rates(architecture: str, precision: str, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Measure evaluation."""
    setup, compute = setup_of_noise(architecture, BATCH), choose_compute(precision)
    steps = {
        "this project": our_evaluation(setup, compute),
        "bare, channels-last": bare_evaluation(setup, compute, torch.channels_last),
        "bare, contiguous": bare_evaluation(setup, compute, torch.contiguous_format),
    }
    return rates(steps, rounds, seconds)


def main() -> None:
    given = [float(value) for value in sys.argv[1:]]
    rounds, seconds = given + DEFAULTS[len(given) :]
    make_repeatable(0)
    cuda = torch.cuda.is_available()
    name = torch.cuda.get_device_name() if cuda else "processor"
    print(f"{name}, torch {torch.__version__}, precision {choose_compute('auto').precision}", flush=True)
    print_table(
        "Training",
        (
            (f"{architecture}, batches of {batch}", training_rates(architecture, batch, int(rounds), seconds))
            for architecture, batch in TRAINED
        ),
    )
    print_table(
        "Evaluation",
        (
            (
                f"{architecture}, {choose_compute(precision).precision}",
                evaluation_rates(architecture, precision, int(rounds), seconds),
            )
            for architecture in ARCHITECTURES
            for precision in EVALUATED_IN
        ),
    )


if __name__ == "__main__":
    main()
