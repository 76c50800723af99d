"""What pre-training and fine-tuning share: a batch's logits and loss, and a pass over a data set without learning."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from plumbline.run.errors import UserError
from plumbline.training.device_and_precision import Compute


@dataclass(frozen=True)
class PhaseResult:
    """Mean loss in nats and accuracy in [0, 1] over a phase's images."""

    loss: float
    accuracy: float


def evaluate(network: nn.Module, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], compute: Compute) -> PhaseResult:
    """Run the network, in evaluation mode, over batches of inputs (B, 3, H, W) and labels (B,). No images: zeros."""
    network.eval()
    loss_sum, correct, images = 0.0, 0, 0
    with torch.inference_mode():
        for inputs, labels in batches:
            logits, loss = classify(network, inputs, labels, compute)
            loss_sum += loss.double() * len(labels)  # on the device: a GPU is waited for once, at the end
            correct += (logits.argmax(dim=1) == labels).sum()
            images += len(labels)
    return PhaseResult(float(loss_sum) / images, int(correct) / images) if images else PhaseResult(0.0, 0.0)


def classify(
    network: nn.Module,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    compute: Compute,
    *,
    label_smoothing: float = 0.0,
    class_weights: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits (B, classes) of inputs (B, 3, H, W), and their mean cross-entropy in nats.

    Inputs of a part of the network may have another shape. Labels are (B,), or shares of the classes (B, classes).
    The loss is computed in the weights' precision.
    """
    precision = compute.weights_dtype
    if inputs.dim() == 4:
        inputs = inputs.contiguous(memory_format=compute.memory_format(training=network.training))
    with compute.autocast():
        logits = forward(network, inputs)
    if labels.is_floating_point():
        labels = labels.to(precision)
    if class_weights is not None:
        class_weights = class_weights.to(precision)
    loss = nn.functional.cross_entropy(logits.to(precision), labels, class_weights, label_smoothing=label_smoothing)
    return logits, loss


def forward(network: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
    """Return the logits. Raises UserError for a lone image that batch normalisation cannot train on."""
    try:
        return network(inputs)
    except ValueError as error:
        if not str(error).startswith("Expected more than 1 value per channel"):
            raise
        raise UserError(
            "a batch holds a single image, on which batch normalisation cannot train where the image is this small: "
            "choose a batch_size that leaves no single image, or a larger image.crop"
        ) from None
