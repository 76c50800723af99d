"""How others fine-tune: loops that benchmarks/time_to_accuracy.py times, each run a process of its own.

    python -m benchmarks.fine_tuning_loops VARIANT FOLDER WEIGHTS SEED

FOLDER holds train/ and val/ with class folders, WEIGHTS is a models/backbone.safetensors of timm/tf_efficientnet_lite0.
The variants:

homework         the homework's loop, 20 epochs
small_first      the same, of which 15 epochs with images of 128 pixels
tutorial         PyTorch's tutorial on transfer learning as published: 25 epochs of batches of 4, random crops, mirrored
                 images, a rate that falls every 7 epochs, the best epoch on val is kept
tutorial_fixed   its second half, which trains the head alone
timm             timm's train.py, at the path TIMM_TRAIN, 20 epochs of batches of 16, with a tenth of its usual rate, as
                 its author advises for a new head (timm's issue 25), channels-last and bfloat16 where that is fast; all
                 else is its default; the best epoch on val is kept
fastai           its documented `fine_tune`, which needs fastai

All normalise as the weights were trained, and compute on a GPU if torch sees one. Each prints a line `val ACCURACY` an
epoch, and at the end, as JSON, the val images that the final network gets wrong.
"""

import copy
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import timm
import torch
from safetensors.torch import load_file
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import InterpolationMode

from plumbline.training.device_and_precision import has_bfloat16

ARCHITECTURE = "tf_efficientnet_lite0"
MEAN = STD = [0.5, 0.5, 0.5]
RESIZE, CROP, WORKERS = 256, 224, 2
SMALL_RESIZE, SMALL_CROP, SMALL_EPOCHS = 146, 128, 15
FASTAI_EPOCHS = 4
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CENTRE = [transforms.Resize(RESIZE, InterpolationMode.BICUBIC), transforms.CenterCrop(CROP)]
SMALL = [transforms.Resize(SMALL_RESIZE, InterpolationMode.BICUBIC), transforms.CenterCrop(SMALL_CROP)]
RANDOM = [transforms.RandomResizedCrop(CROP), transforms.RandomHorizontalFlip()]
TO_INPUT = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]


def loader(folder: Path, steps: list[Callable], batch: int, workers: int) -> DataLoader:
    """Return the images of class folders, decoded anew in each epoch, as the homework and the tutorial do."""
    return DataLoader(ImageFolder(folder, transforms.Compose([*steps, *TO_INPUT])), batch, True, num_workers=workers)


def pretrained(weights: Path, classes: int) -> nn.Module:
    """Return the network with the pre-trained weights and a new head."""
    network = timm.create_model(ARCHITECTURE, num_classes=classes)
    tensors = load_file(weights)
    head = {key: value for key, value in network.state_dict().items() if key.startswith("classifier.")}
    network.load_state_dict(tensors | head)
    return network.to(DEVICE)


def run_phase(network: nn.Module, data: DataLoader, optimizer: torch.optim.Optimizer | None) -> float:
    """Train as printed in the homework, or validate where there is no optimiser; return the accuracy."""
    criterion, right = nn.CrossEntropyLoss(), 0
    network.train(optimizer is not None)
    for inputs, labels in ((inputs.to(DEVICE), labels.to(DEVICE)) for inputs, labels in data):
        with torch.set_grad_enabled(optimizer is not None):
            outputs = network(inputs)
            loss = criterion(outputs, labels)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        right += torch.sum(outputs.argmax(1) == labels).item()
    return right / len(data.dataset)


def homework(folder: Path, weights: Path, *, small_first: bool) -> nn.Module:
    """Run the homework's loop: SGD, batches of 16, 20 epochs; the last epoch's network."""
    small, train = (loader(folder / "train", steps, batch=16, workers=0) for steps in (SMALL, CENTRE))
    val = loader(folder / "val", CENTRE, batch=16, workers=0)
    network = pretrained(weights, len(train.dataset.classes))
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    for epoch in range(20):
        run_phase(network, small if small_first and epoch < SMALL_EPOCHS else train, optimizer)
        print("val", run_phase(network, val, None), flush=True)
    return network


def tutorial(folder: Path, weights: Path, *, fixed: bool) -> nn.Module:
    """Run PyTorch's tutorial: the best epoch's network on val."""
    train = loader(folder / "train", RANDOM, batch=4, workers=WORKERS)
    val = loader(folder / "val", CENTRE, batch=4, workers=WORKERS)
    network = pretrained(weights, len(train.dataset.classes))
    network.requires_grad_(not fixed)
    network.classifier.requires_grad_(True)
    parameters = network.classifier.parameters() if fixed else network.parameters()
    optimizer = torch.optim.SGD(parameters, lr=0.001, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=7, gamma=0.1)
    best, best_accuracy = {}, -1.0
    for _ in range(25):
        run_phase(network, train, optimizer)
        scheduler.step()
        accuracy = run_phase(network, val, None)
        print("val", accuracy, flush=True)
        if accuracy > best_accuracy:
            best, best_accuracy = copy.deepcopy(network.state_dict()), accuracy
    network.load_state_dict(best)
    return network


def timm_script(folder: Path, weights: Path, seed: int) -> nn.Module:
    """Run timm's train.py, and print the val accuracy of each epoch as it comes: the best epoch's network on val."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, os.environ["TIMM_TRAIN"], str(folder), "--model", ARCHITECTURE, "--seed", str(seed)]
        command += ["--pretrained", "--pretrained-path", str(weights), "--num-classes", "2", "--val-split", "val"]
        command += ["--epochs", "20", "--batch-size", "16", "--lr-base", "0.01", "--workers", str(WORKERS)]
        command += ["--device", DEVICE.type, "--channels-last", "--output", output, "--experiment", "run"]
        if has_bfloat16(DEVICE):
            command += ["--amp", "--amp-dtype", "bfloat16"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            printed = []
            for line in process.stdout:
                printed.append(line)
                if found := re.search(r"Test: \[ *(\d+)/\1\].*Acc@1: +[\d.]+ \( *([\d.]+)\)", line):
                    print("val", float(found[2]) / 100, flush=True)
        if process.returncode:
            sys.exit("".join(printed[-20:]))
        network = timm.create_model(ARCHITECTURE, num_classes=2)
        best = torch.load(Path(output, "run", "model_best.pth.tar"), map_location="cpu", weights_only=False)
        network.load_state_dict(best["state_dict"])
    return network.to(DEVICE)


def fastai(folder: Path, weights: Path) -> nn.Module:
    """Run fastai's `fine_tune`, with its documented pre-sizing and augmentation and its own batch size and rates."""
    from fastai.vision import all as vision

    class PrintVal(vision.Callback):
        order = 60  # behind the recorder

        def after_epoch(self) -> None:
            print("val", float(self.learn.recorder.values[-1][-1]), flush=True)

    data = vision.ImageDataLoaders.from_folder(
        folder,
        train="train",
        valid="val",
        item_tfms=vision.Resize(460),
        batch_tfms=[*vision.aug_transforms(size=CROP, min_scale=0.75), vision.Normalize.from_stats(MEAN, STD)],
        num_workers=WORKERS,
    )
    learner = vision.vision_learner(
        data, ARCHITECTURE, metrics=vision.accuracy, pretrained=False, normalize=False, cbs=PrintVal()
    )
    body = learner.model[0].model
    body.load_state_dict({key: value for key, value in load_file(weights).items() if key in body.state_dict()})
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(FASTAI_EPOCHS)
        learner.remove_cb(PrintVal)
        probabilities, labels = learner.get_preds()
    files = [str(path.relative_to(folder)) for path in data.valid_ds.items]
    wrong = (probabilities.argmax(1) != labels).tolist()
    print(json.dumps([path for path, is_wrong in zip(files, wrong, strict=True) if is_wrong]))
    return learner.model


def wrong_images(network: nn.Module, folder: Path) -> list[str]:
    """Return the val images that the network gets wrong, by their paths in FOLDER."""
    dataset = ImageFolder(folder / "val", transforms.Compose([*CENTRE, *TO_INPUT]))
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(inputs.to(DEVICE)) for inputs, _ in DataLoader(dataset, 16)]).cpu()
    wrong = (logits.argmax(1) != torch.tensor(dataset.targets)).tolist()
    paths = [str(Path(path).relative_to(folder)) for path, _ in dataset.samples]
    return [path for path, is_wrong in zip(paths, wrong, strict=True) if is_wrong]


def main() -> None:
    variant, folder, weights, seed = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])
    torch.manual_seed(seed)
    match variant:
        case "homework" | "small_first":
            network = homework(folder, weights, small_first=variant == "small_first")
        case "tutorial" | "tutorial_fixed":
            network = tutorial(folder, weights, fixed=variant == "tutorial_fixed")
        case "timm":
            network = timm_script(folder, weights, seed)
        case "fastai":
            fastai(folder, weights)
            return
        case _:
            sys.exit(__doc__)
    print(json.dumps(wrong_images(network, folder)))


if __name__ == "__main__":
    main()
