"""How fast a thousand images are classified, side by side with the loops that a user would write.

    python -m benchmarks.prediction FOLDER [MODEL [ROUNDS]]

takes the photographs below FOLDER, over and over, until there are a thousand, and classifies them with
models/finetuned.safetensors or MODEL. In turns, ROUNDS times (3): torchvision's transform and the network, one image
after another; a DataLoader with two workers and batches of 16; that with channels-last; and tools.predict, in float32
and with --precision auto. Each is a process of its own, whose start is timed too. Prints the table of
benchmarks/README.md.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from plumbline.model.model_file import read_model

PROJECT = Path(__file__).parents[1]
IMAGES, ROUNDS = 1000, 3
BATCH, WORKERS = 16, 2
SUFFIXES = (".jpg", ".jpeg", ".png")
PEERS = ("one by one", "DataLoader", "DataLoader, channels-last")
OURS = {"tools.predict": "float32", "tools.predict, bfloat16 where it is fast": "auto"}


class Photographs(Dataset):
    """Photographs by their paths, as torchvision transforms them."""

    def __init__(self, paths: list[Path], transform: nn.Module) -> None:
        self.paths, self.transform = paths, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.transform(Image.open(self.paths[i]).convert("RGB"))


def peer(variant: str, folder: Path, model_path: Path) -> None:
    """Classify the folder's photographs as a user's own script would."""
    model = read_model(model_path)
    network, own = model.network().eval(), model.transform
    transform = transforms.Compose(
        [
            transforms.Resize(own.resize),
            transforms.CenterCrop(own.crop),
            transforms.ToTensor(),
            transforms.Normalize(own.mean, own.std),
        ]
    )
    photographs = Photographs(sorted(folder.iterdir()), transform)
    layout = torch.channels_last if variant.endswith("channels-last") else torch.contiguous_format
    network = network.to(memory_format=layout)
    loader = DataLoader(photographs, BATCH, num_workers=WORKERS) if variant.startswith("DataLoader") else None
    with torch.no_grad():
        inputs = loader or (photographs[i][None] for i in range(len(photographs)))
        for batch in inputs:
            network(batch.contiguous(memory_format=layout)).softmax(dim=1).argmax(dim=1).tolist()


def copy_photographs(source: Path, folder: Path) -> None:
    """Copy a thousand photographs, round after round."""
    found = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
    for i in range(IMAGES):
        path = found[i % len(found)]
        (folder / f"{i:04}{path.suffix.lower()}").write_bytes(path.read_bytes())


def main() -> None:
    if sys.argv[1] in PEERS:
        peer(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
        return
    model = Path(sys.argv[2] if len(sys.argv) > 2 else PROJECT / "models/finetuned.safetensors").resolve()
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else ROUNDS
    seconds: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photographs"
        folder.mkdir()
        copy_photographs(Path(sys.argv[1]), folder)
        for _ in range(rounds):
            for variant in (*PEERS, *OURS):
                command = ["benchmarks.prediction", variant, str(folder), str(model)]
                if variant in OURS:
                    options = ["--output", f"{name}/p.csv", "--precision", OURS[variant]]
                    command = ["tools.predict", str(folder), "--model", str(model), *options]
                start = time.perf_counter()
                subprocess.run([sys.executable, "-m", *command], cwd=PROJECT, check=True)
                seconds.setdefault(variant, []).append(time.perf_counter() - start)
    print("| loop | minimum | median | maximum | images/s, median | one by one / this, median of the rounds |")
    print("| --- | --- | --- | --- | --- | --- |")
    for variant, own in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[PEERS[0]], own, strict=True))
        low, middle, high = min(own), statistics.median(own), max(own)
        print(f"| {variant} | {low:.1f} s | {middle:.1f} s | {high:.1f} s | {IMAGES / middle:.1f} | {ratio:.2f} |")


if __name__ == "__main__":
    main()
