"""Lay what a network looked at over the image: a heat map, readable in black and white, and a line at half its peak."""

import matplotlib as mpl
import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter

COLOURS = "cividis"  # told apart by the colour-blind, and by brightness alone
SHARE = 0.55  # of the heat map; the rest is the image in grey
LINE = 1.5  # pixels
GREY = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow's


def overlay(pixels: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, 3) for an image, uint8 (H, W, 3), and heat, (H, W) in [0, 1]."""
    grey = (pixels @ GREY)[..., None]
    coloured = 255 * mpl.colormaps[COLOURS](heat)[..., :3]
    mixed = SHARE * coloured + (1 - SHARE) * grey
    within = heat >= 0.5 if heat.any() else np.zeros_like(heat, bool)
    edge = gaussian_filter((within & ~binary_erosion(within)).astype(float), LINE / 2)
    strength = np.clip(edge / max(edge.max(), 1e-9), 0, 1)[..., None]
    return np.clip(strength * 255 + (1 - strength) * mixed, 0, 255).round().astype(np.uint8)
