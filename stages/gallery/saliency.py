"""Saliency: Grad-CAM, or the input's gradient where a network has no last feature map; and how it is drawn.

Source: Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization",
arXiv:1610.02391; Simonyan, Vedaldi and Zisserman 2014, "Deep inside convolutional networks", arXiv:1312.6034.
Both by captum.
"""

import matplotlib as mpl
import numpy as np
import torch
from captum.attr import LayerGradCam, Saliency
from scipy.ndimage import binary_erosion, gaussian_filter
from torch import nn

from plumbline.model.families import ends_in_feature_map

PATCHES = 16  # along a side, over which the input's gradient is averaged
COLOUR_MAP = "cividis"  # readable for the colour-blind, and in black and white
HEAT_SHARE = 0.55  # of the heat map; the rest is the image in grey
LINE_WIDTH = 1.5  # pixels
GREY_WEIGHTS = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's

GRAD_CAM, INPUT_GRADIENT = "Grad-CAM", "gradient of the input"


def method_of(network: nn.Module, inputs: torch.Tensor) -> str:
    """Return the name of the method: a vision transformer has no last feature map, which Grad-CAM needs."""
    return GRAD_CAM if ends_in_feature_map(network, inputs) else INPUT_GRADIENT


def last_feature_map(network: nn.Module, inputs: torch.Tensor) -> nn.Module:
    """Return the module that puts out the last feature map, (B, channels, height, width), of more than one pixel."""
    modules = []

    def note(module: nn.Module, arguments: tuple[torch.Tensor, ...], output: object) -> None:
        if isinstance(output, torch.Tensor) and output.dim() == 4 and min(output.shape[2:]) > 1:
            modules.append(module)

    hooks = [module.register_forward_hook(note) for module in network.modules()]
    try:
        with torch.no_grad():
            network(inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return modules[-1]


def saliency(network: nn.Module, inputs: torch.Tensor, classes: torch.Tensor) -> torch.Tensor:
    """Return the saliency of a class, float32 (B, crop, crop) in [0, 1], for inputs (B, 3, crop, crop), classes (B,).

    The maximum of each image is 1; where nothing contributes to the class the whole image is 0.
    """
    network.eval()
    if method_of(network, inputs[:1]) == GRAD_CAM:
        explain = LayerGradCam(network, last_feature_map(network, inputs[:1])).attribute
        pairs = zip(inputs.split(1), classes.tolist(), strict=True)
        heat = torch.cat([explain(image, label, relu_attributions=True) for image, label in pairs])
    else:
        gradient = Saliency(network).attribute(inputs.requires_grad_(), classes).amax(dim=1, keepdim=True)
        heat = nn.functional.adaptive_avg_pool2d(gradient, PATCHES)
    heat = nn.functional.interpolate(heat.detach(), inputs.shape[2:], mode="bilinear", align_corners=False)[:, 0]
    return heat / heat.amax(dim=(1, 2), keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3) for an image, uint8 (H, W, 3), and heat, (H, W) in [0, 1]."""
    grey = (pixels @ GREY_WEIGHTS)[..., None]
    coloured = 255 * mpl.colormaps[COLOUR_MAP](heat)[..., :3]
    mixed = HEAT_SHARE * coloured + (1 - HEAT_SHARE) * grey
    within = heat >= 0.5 if heat.any() else np.zeros_like(heat, bool)
    edge = gaussian_filter((within & ~binary_erosion(within)).astype(float), LINE_WIDTH / 2)
    strength = np.clip(edge / max(edge.max(), 1e-9), 0, 1)[..., None]
    return np.clip(strength * 255 + (1 - strength) * mixed, 0, 255).round().astype(np.uint8)
