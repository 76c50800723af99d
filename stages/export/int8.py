"""The ONNX model in eight bits: a quarter of the size, faster on most processors, a little less accurate.

Source: https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from stages.export.from_pixels import INPUT
from stages.export.onnx_file import described

MULTIPLYING = ["Conv", "Gemm", "MatMul"]
# The layers between are in eight bits too, which avoids conversions; normalisation and softmax stay in float32.
VAL_DISTANCES = "val_distances"  # how the name of the tensor that holds them ends
BETWEEN = ["Add", "MaxPool", "GlobalAveragePool", "ReduceMean"]


class TrainingImages(CalibrationDataReader):
    """Feeds onnxruntime one image after another."""

    def __init__(self, images: np.ndarray) -> None:
        self.inputs: Iterator[dict[str, np.ndarray]] = ({INPUT: images[i : i + 1]} for i in range(len(images)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return the next image, or None after the last."""
        return next(self.inputs, None)


def spread(images: np.ndarray, count: int) -> np.ndarray:
    """Return at most `count` images at equal steps; the images are sorted by class, so every class is sampled."""
    return images[np.unique(np.linspace(0, len(images) - 1, count).round().astype(int))]


def nodes_of_the_score(graph: onnx.GraphProto) -> list[str]:
    """Return the names of the nodes from which no probability follows: they stay in float32, as the score is small."""
    made_by = {name: node for node in graph.node for name in node.output}

    def before(output: str) -> set[str]:
        visited, open_ = set(), [output]
        while open_:
            node = made_by.get(open_.pop())
            if node is not None and node.name not in visited:
                visited.add(node.name)
                open_ += node.input
        return visited

    outputs = [output.name for output in graph.output]
    return sorted(set().union(*map(before, outputs)) - before(outputs[0]))


def with_val_distances(contents: bytes, distances: np.ndarray, description: dict[str, str]) -> bytes:
    """Return an ONNX model's bytes with these distances, float32 (V,), as those of the val images, and its metadata."""
    model = onnx.load_from_string(contents)
    (initializer,) = (tensor for tensor in model.graph.initializer if tensor.name.endswith(VAL_DISTANCES))
    initializer.CopyFrom(onnx.numpy_helper.from_array(np.sort(distances), initializer.name))
    return described(model, description)


def int8_file(contents: bytes, kind: str, images: np.ndarray, description: dict[str, str]) -> bytes:
    """Return an ONNX model's bytes in eight bits.

    `kind` static: the ranges of the activations are set once, on images, uint8 (N, resize, resize, 3); dynamic: anew
    for each input. Weights are signed, with a scale for each output channel; activations are unsigned. Weights are in
    seven bits: processors without VNNI add two products in 16 bits, where those of eight bits can overflow, unseen.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "float32.onnx").write_bytes(contents)
        quant_pre_process(folder / "float32.onnx", folder / "folded.onnx", skip_symbolic_shape=True)
        excluded = nodes_of_the_score(onnx.load(folder / "folded.onnx").graph)
        if kind == "static":
            quantize_static(
                folder / "folded.onnx",
                folder / "int8.onnx",
                TrainingImages(images),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                op_types_to_quantize=MULTIPLYING + BETWEEN,
                nodes_to_exclude=excluded,
            )
        else:
            quantize_dynamic(
                folder / "folded.onnx",
                folder / "int8.onnx",
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
                op_types_to_quantize=MULTIPLYING,
                nodes_to_exclude=excluded,
            )
        return described(onnx.load(folder / "int8.onnx"), description)
