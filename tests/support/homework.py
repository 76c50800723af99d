"""The homework's training loop, as printed."""

import pandas as pd
import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def homeworks_loop(
    network: nn.Module, orders: list[list[int]], resize: int, crop: int, batch: int, device: str = "cpu"
) -> pd.DataFrame:
    """Train as the homework's printed code does, in its own words; the order of the images and the dtype are given."""
    transform = transforms.Compose(
        [transforms.Resize(resize), transforms.CenterCrop(crop), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    data = {phase: ImageFolder(f"images/{phase}", transform) for phase in ("train", "val")}
    criterion = nn.CrossEntropyLoss()
    weights = next(network.parameters())
    optimizer = torch.optim.SGD(network.parameters(), lr=0.001, momentum=0.9)
    history = []
    for order in orders:
        row = {}
        for phase in ("train", "val"):
            network.train() if phase == "train" else network.eval()
            running_loss, running_corrects = 0.0, 0
            for inputs, labels in DataLoader(data[phase], batch, sampler=order if phase == "train" else None):
                inputs, labels = inputs.to(device, weights.dtype), labels.to(device)
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = network(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data).item()
            row[f"{phase}_loss"] = running_loss / len(data[phase])
            row[f"{phase}_accuracy"] = running_corrects / len(data[phase])
        history.append(row)
    return pd.DataFrame(history)
