"""How others fine-tune: the loops that benchmarks/training.py times this project against, each in a process of its own.

    python -m benchmarks.peers homework|tutorial|tuned FOLDER EPOCHS WEIGHTS [SEED]

FOLDER holds train/ and val/ with class folders, WEIGHTS is a models/backbone.safetensors of ResNet34. Prints the last
epoch's losses and val accuracy, and the median of the epochs' seconds, as JSON.
"""

import json
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

from plumbline.model.head import replace_head
from plumbline.model.model_file import read_model
from plumbline.training.device_and_precision import has_bfloat16

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
BATCH, WORKERS = 16, 2
PHASES = ("train", "val")


def loaders(folder: Path, workers: int) -> dict[str, DataLoader]:
    """Return both phases' images, decoded anew in each epoch, as the homework and the tutorial do."""
    transform = transforms.Compose(
        [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    return {
        phase: DataLoader(ImageFolder(folder / phase, transform), BATCH, shuffle=True, num_workers=workers)
        for phase in PHASES
    }


def epochs_of(network: nn.Module, data: dict[str, DataLoader], epochs: int, tuned: bool) -> Iterator[dict[str, float]]:
    """Train as printed in the homework, which is PyTorch's transfer-learning tutorial; yields each epoch's results."""
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    layout = torch.channels_last if tuned else torch.contiguous_format
    for _ in range(epochs):
        row = {}
        for phase in PHASES:
            network.train(phase == "train")
            running_loss, running_corrects = 0.0, 0
            for inputs, labels in data[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    with precision(tuned):
                        outputs = network(inputs.contiguous(memory_format=layout))
                    loss = criterion(outputs.float(), labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(outputs.argmax(1) == labels).item()
            row[f"{phase}_loss"] = running_loss / len(data[phase].dataset)
            row[f"{phase}_accuracy"] = running_corrects / len(data[phase].dataset)
        yield row


def precision(tuned: bool) -> AbstractContextManager:
    """Return bfloat16 autocast for the tuned peer, where the processor multiplies bfloat16 itself."""
    if tuned and has_bfloat16(torch.device("cpu")):
        return torch.autocast("cpu", dtype=torch.bfloat16)
    return nullcontext()


def main() -> None:
    variant, folder, epochs, weights, *seed = sys.argv[1:]
    torch.manual_seed(int(seed[0]) if seed else 0)
    data = loaders(Path(folder), workers=0 if variant == "homework" else WORKERS)
    classes = len(data["train"].dataset.classes)
    network = replace_head("resnet34", read_model(Path(weights)).tensors, classes, crop=224)
    tuned = variant == "tuned"
    network = network.to(memory_format=torch.channels_last) if tuned else network
    seconds, start = [], time.perf_counter()
    for row in epochs_of(network, data, int(epochs), tuned):
        seconds.append(time.perf_counter() - start)
        last, start = row, time.perf_counter()
    print(json.dumps(last | {"seconds_per_epoch": statistics.median(seconds)}))


if __name__ == "__main__":
    main()
