"""Pre-train a network on the eight digits that the embedded task does not use."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from plumbline.images.class_folders import class_folders, files_below
from plumbline.images.decoded import decode
from plumbline.images.square import resize_and_cut
from plumbline.model.description import Transform
from plumbline.params.weights import Pretraining
from plumbline.training.device_and_precision import Compute
from plumbline.training.loss_and_accuracy import classify
from plumbline.training.network_input import to_input

# Random changes to each digit: the network is to learn strokes, wherever and however large they are.
MAX_ROTATION = 0.26  # radians, 15 degrees
MAX_SHIFT = 0.2  # of half the image's width
SCALES = (0.7, 2.5)


def read_digits(folder: Path, size: int) -> tuple[torch.Tensor, torch.Tensor, list[str]]:
    """Return the digits as uint8 (N, size, size, 3), their labels (N,), and the class names."""
    classes = class_folders(folder)
    images, labels = [], []
    for label, class_name in enumerate(classes):
        for path in files_below(folder / class_name):
            images.append(torch.from_numpy(np.array(resize_and_cut(decode(path.read_bytes()).rgb, size))))
            labels.append(label)
    return torch.stack(images), torch.tensor(labels), classes


def pretrain(
    network: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    recipe: Pretraining,
    transform: Transform,
    compute: Compute,
) -> None:
    """Train the network in place with AdamW and a one-cycle schedule, each digit changed at random."""
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.lr, fused=True)
    steps = recipe.epochs * -(-len(images) // recipe.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=recipe.lr, total_steps=steps)
    network.train()
    progress = tqdm(range(recipe.epochs), "pre-training", unit="epoch", disable=None)
    for _ in progress:
        for indices in torch.randperm(len(images)).split(recipe.batch_size):
            inputs = jittered(to_input(compute.send(images[indices]), transform))
            _, loss = classify(network, inputs, compute.send(labels[indices]), compute)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        progress.set_postfix(loss=f"{loss.item():.3f}")


def jittered(inputs: torch.Tensor) -> torch.Tensor:
    """Return the batch (B, 3, H, W), each image turned, scaled and shifted at random, its border repeated."""
    angle, scale, shift_x, shift_y = torch.rand(4, len(inputs), device=inputs.device)
    angle = (2 * angle - 1) * MAX_ROTATION
    scale = 1 / (SCALES[0] * (SCALES[1] / SCALES[0]) ** scale)  # the grid is scaled by the inverse
    cos, sin = angle.cos() * scale, angle.sin() * scale
    shift_x, shift_y = (2 * shift_x - 1) * MAX_SHIFT, (2 * shift_y - 1) * MAX_SHIFT
    theta = torch.stack([cos, -sin, shift_x, sin, cos, shift_y], dim=1).view(-1, 2, 3)
    grid = nn.functional.affine_grid(theta, list(inputs.shape), align_corners=False)
    return nn.functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
