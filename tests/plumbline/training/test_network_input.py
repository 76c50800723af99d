"""The network's input is torchvision's, bit for bit."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from plumbline.model.description import Transform
from plumbline.training.network_input import to_input

MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.mark.parametrize(("resize", "crop"), [(256, 224), (64, 64), (60, 33)])
def test_input_is_center_crop_to_tensor_and_normalize(resize: int, crop: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, resize, resize, 3), dtype=np.uint8)
    theirs = transforms.Compose([transforms.CenterCrop(crop), transforms.ToTensor(), transforms.Normalize(MEAN, STD)])
    ours = to_input(torch.from_numpy(pixels), Transform(resize, crop, MEAN, STD))
    assert torch.equal(ours, torch.stack([theirs(Image.fromarray(image)) for image in pixels]))
