"""What the tests of export share: a small model, exported once."""

import numpy as np
import pytest

from plumbline.model.model_file import Model
from stages.export.from_pixels import description, exported_program
from stages.export.onnx_file import onnx_file
from stages.export.torch_file import torch_file
from tests.support.models import small_model, with_score


def noise(images: int, size: int = 40, seed: int = 0) -> np.ndarray:
    """Return images of noise, uint8 (images, size, size, 3)."""
    return np.random.default_rng(seed).integers(0, 256, (images, size, size, 3), dtype=np.uint8)


@pytest.fixture(scope="session")
def exported() -> dict[str, bytes]:
    """The small model's files, by their suffix."""
    program, about = exported_program(small_model(), 0.95), description(small_model(), "ab" * 32, 0.95)
    return {"onnx": onnx_file(program, about), "pt2": torch_file(program, about)}


@pytest.fixture(scope="session")
def scored() -> Model:
    """The small model with a score of unknown images, beside 24 val images of noise."""
    return with_score(small_model())


@pytest.fixture(scope="session")
def exported_with_score(scored: Model) -> dict[str, bytes]:
    """Its files, by their suffix; 0.8 of the known images are to be kept."""
    program, about = exported_program(scored, 0.8), description(scored, "ab" * 32, 0.8)
    return {"onnx": onnx_file(program, about), "pt2": torch_file(program, about)}
