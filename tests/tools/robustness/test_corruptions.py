"""Corruptions against scikit-image's arithmetic in other people's code, closed forms and themselves."""

import colorsys
import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm

from tools.robustness.corruptions import CORRUPTIONS, SEVERITIES, corrupted

SIZE = 48
FILES = ["0a" * 32, "0b" * 32]


def pictures(seed: int = 0) -> np.ndarray:
    """Return two smooth images, uint8 (2, SIZE, SIZE, 3)."""
    coarse = np.random.default_rng(seed).integers(0, 256, (2, 6, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(own).resize((SIZE, SIZE), Image.Resampling.BICUBIC)) for own in coarse])


def change(pixels: np.ndarray, name: str, severity: int, crop: int = 224, seed: int = 0) -> np.ndarray:
    return corrupted(pixels, FILES[: len(pixels)], name, severity, crop, seed)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_belongs_to_the_image_and_grows_with_the_severity(name: str) -> None:
    pixels, distances = pictures(), []
    crop = 40 if name == "shift" else 224
    for severity in SEVERITIES:
        found = change(pixels, name, severity, crop)
        assert (found.dtype, found.shape) == (np.uint8, pixels.shape)
        assert (change(pixels, name, severity, crop) == found).all()
        alone = corrupted(pixels[1:], FILES[1:], name, severity, crop, 0)
        assert (alone[0] == found[1]).all()  # whatever images stand beside it
        distances.append(np.abs(found.astype(float) - pixels).mean())
    assert (np.diff([0, *distances]) > 0).all()
    assert (pixels == pictures()).all()  # what was given is as it was


def test_noise_has_the_deviation_that_is_said_and_is_another_for_another_seed_or_file() -> None:
    grey = np.full((2, 100, 100, 3), 128, np.uint8)
    found = change(grey, "gaussian_noise", 1)
    assert (found.astype(float) - 128).std() == pytest.approx(0.08 * 255, rel=0.02)
    assert (found[0] != found[1]).any()
    assert (change(grey, "gaussian_noise", 1, seed=1) != found).any()


def test_brightness_is_that_of_colorsys() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (1, 8, 8, 3), dtype=np.uint8)
    pixels[0, 0, 0] = 0
    found = change(pixels, "brightness", 3)[0]
    for given, own in zip(pixels.reshape(-1, 3), found.reshape(-1, 3), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*(given / 255))
        wanted = np.array(colorsys.hsv_to_rgb(hue, saturation, min(value + 0.3, 1.0))) * 255
        assert np.abs(own - wanted).max() <= 0.51


def test_contrast_keeps_the_mean_and_a_share_of_the_deviation() -> None:
    pixels = pictures()
    found = change(pixels, "contrast", 1)
    assert found.mean(axis=(1, 2)) == pytest.approx(pixels.mean(axis=(1, 2)), abs=0.1)
    assert found.std(axis=(1, 2)) == pytest.approx(0.4 * pixels.std(axis=(1, 2)), rel=0.02)


def test_a_blurred_edge_is_the_normal_distribution_and_as_wide_as_the_network_sees_little() -> None:
    edge = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    edge[:, :, SIZE // 2 :] = 255
    places = np.arange(SIZE) - SIZE // 2 + 0.5
    for crop in (224, 112):
        found = change(edge, "gaussian_blur", 3, crop=crop)[0, SIZE // 2, :, 0]
        assert found / 255 == pytest.approx(norm.cdf(places / (3 * crop / 224)), abs=0.01)


def test_jpeg_is_pillows_at_that_quality() -> None:
    pixels = pictures()
    file = io.BytesIO()
    Image.fromarray(pixels[0]).save(file, "JPEG", quality=7)
    assert (change(pixels, "jpeg", 5)[0] == np.asarray(Image.open(file))).all()


def peak(image: np.ndarray) -> np.ndarray:
    """Return the centre of gravity of an image's light, in pixels from its centre."""
    light = image[..., 0].astype(float)
    places = np.arange(SIZE) - (SIZE - 1) / 2
    return np.array([light.sum(axis=1) @ places, light.sum(axis=0) @ places]) / light.sum()


def spot(row: int, column: int) -> np.ndarray:
    """Return two images of a bright spot, at a place in pixels from the upper left corner."""
    image = np.zeros((2, SIZE, SIZE, 3), np.uint8)
    image[:, row - 1 : row + 2, column - 1 : column + 2] = 255
    return image


def test_a_spot_moves_as_far_as_is_said() -> None:
    found = change(spot(24, 24), "shift", 5, crop=40)
    for own in found:
        assert np.hypot(*(peak(own) - peak(spot(24, 24)[0]))) == pytest.approx(0.1 * 40, abs=0.1)
    assert np.abs(peak(found[0]) - peak(found[1])).max() > 0.5  # each its own way


def test_a_spot_turns_about_the_centre_by_the_angle_that_is_said() -> None:
    before = peak(spot(24, 38)[0])
    for own in change(spot(24, 38), "rotation", 5):
        after = peak(own)
        assert np.hypot(*after) == pytest.approx(np.hypot(*before), abs=0.1)
        angle = math.degrees(math.acos(before @ after / np.hypot(*before) / np.hypot(*after)))
        assert angle == pytest.approx(30, abs=1)


def test_a_spot_is_so_many_times_as_far_from_the_centre_or_as_near() -> None:
    before = np.hypot(*peak(spot(24, 33)[0]))
    seen = {
        round(np.hypot(*peak(own)) / before, 1)
        for seed in range(4)
        for own in change(spot(24, 33), "scale", 4, seed=seed)
    }
    assert seen == {0.7, 1.5}


def test_no_part_of_a_moved_image_is_empty() -> None:
    white = np.full((2, SIZE, SIZE, 3), 255, np.uint8)
    for name in ("scale", "rotation", "shift"):
        assert (change(white, name, 5) == 255).all()
