"""Eight bits: a quarter of the bytes, nearly the same answer, and the same bytes again."""

import numpy as np
import onnx
import onnxruntime
import pytest

from stages.export.int8 import int8_file, spread, with_val_distances
from tests.stages.export.conftest import noise


def answer(contents: bytes, images: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(contents).run(None, {"images": images})[0]


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_eight_bits_are_a_quarter_of_the_size_and_nearly_the_same(exported: dict[str, bytes], kind: str) -> None:
    images, other = noise(6), noise(5, seed=1)
    contents = int8_file(exported["onnx"], kind, images, {"classes": "x"})
    assert len(contents) < 0.28 * len(exported["onnx"])  # a few kilobytes are no weights
    assert contents == int8_file(exported["onnx"], kind, images, {"classes": "x"})
    assert onnxruntime.InferenceSession(contents).get_modelmeta().custom_metadata_map == {"classes": "x"}
    wanted, found = answer(exported["onnx"], other), answer(contents, other)
    assert found.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert 0 < np.abs(found - wanted).max() < 0.05


@pytest.mark.medium
@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_two_products_fit_into_16_bits_so_that_processors_without_vnni_give_the_same(
    exported: dict[str, bytes], kind: str
) -> None:
    graph = onnx.load_from_string(int8_file(exported["onnx"], kind, noise(6), {})).graph
    weights = [onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer]
    matrices = [values for values in weights if values.dtype == np.int8 and values.ndim > 1]
    assert len(matrices) > 15
    assert max(np.abs(values.astype(int)).max() for values in matrices) > 60
    assert 2 * 255 * max(np.abs(values.astype(int)).max() for values in matrices) < 2**15


def test_the_calibration_images_are_spread_over_all() -> None:
    images = np.arange(10)
    assert spread(images, 3).tolist() == [0, 4, 9]
    assert spread(images, 100).tolist() == list(range(10))
    assert spread(images, 1).tolist() == [0]


@pytest.mark.medium
def test_eight_bits_judge_an_image_beside_their_own_val_distances_and_compute_them_in_float32(
    exported_with_score: dict[str, bytes],
) -> None:
    images, val = noise(6), noise(24, seed=2)
    contents = int8_file(exported_with_score["onnx"], "static", images, {"classes": "x"})
    distances = onnxruntime.InferenceSession(contents).run(None, {"images": val})[3]
    contents = with_val_distances(contents, distances, {"classes": "x"})
    model = onnx.load_from_string(contents)
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(held["network.score.val_distances"], np.sort(distances))
    assert held["network.score.whitening"].dtype == np.float32
    # Beside its own, the farthest of 24 has (1 + 1) / 25, and the n-th farthest (1 + n) / 25.
    session = onnxruntime.InferenceSession(contents)
    assert session.get_modelmeta().custom_metadata_map == {"classes": "x"}
    _, unknown, p_known, again = session.run(None, {"images": val})
    np.testing.assert_array_equal(again, distances)
    farther = (distances >= distances[:, None] * (1 - 1e-4)).sum(axis=1)
    np.testing.assert_allclose(p_known, (1 + farther) / 25, rtol=1e-6)
    assert unknown.sum() == (1 + farther <= 5).sum() > 0  # 1 - 0.8 of 25
