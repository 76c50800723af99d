"""Turn uint8 pixels into the network's input.

The only place where pixels are cut, scaled and normalised: what trains, evaluates and predicts calls it.
"""

import torch

from plumbline.model.description import Transform


def to_input(images: torch.Tensor, transform: Transform) -> torch.Tensor:
    """Return the network's input, float32 (B, 3, crop, crop), for uint8 images (B, resize, resize, 3).

    Bit for bit torchvision's CenterCrop, ToTensor and Normalize, on a GPU as well.
    """
    _, height, width, _ = images.shape
    top, left = round((height - transform.crop) / 2), round((width - transform.crop) / 2)
    cut = images[:, top : top + transform.crop, left : left + transform.crop]
    mean, std = (per_channel(values, images.device) for values in (transform.mean, transform.std))
    white = torch.full((), 255.0, device=images.device)  # a GPU multiplies by the inverse of a plain number
    return cut.permute(0, 3, 1, 2).float().div_(white).sub_(mean).div_(std)


def per_channel(values: list[float], device: torch.device) -> torch.Tensor:
    """Return three values, float32 (3, 1, 1), on a device; a GPU is not waited for."""
    on_processor = torch.tensor(values).view(3, 1, 1)
    return on_processor if device.type == "cpu" else on_processor.to(device, non_blocking=True)
