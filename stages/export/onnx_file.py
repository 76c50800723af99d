"""The model as ONNX, for onnxruntime and other programs that read it."""

import re

import onnx
import torch

from plumbline.run.errors import UserError
from stages.export.from_pixels import INPUT, OUTPUTS

LARGEST = 2**31 - 2**24  # bytes: the limit of a protocol buffer, less the size of the graph itself


def onnx_file(program: torch.export.ExportedProgram, description: dict[str, str]) -> bytes:
    """Return the file's bytes: the same program gives the same. Raises UserError if it is too large for one file."""
    weights = sum(tensor.nbytes for tensor in program.state_dict.values())
    if weights > LARGEST:
        raise UserError(
            f"the network has {weights / 2**30:.1f} GiB of weights, and an ONNX file holds 2: "
            "choose a smaller weights.architecture; everything but the export is done"
        )
    names = OUTPUTS[: len(program.graph_signature.user_outputs)]
    model = torch.onnx.export(program, input_names=[INPUT], output_names=names, dynamo=True, verbose=False).model_proto
    name_the_batch(model.graph)
    for part in (model.graph, *model.graph.node, *model.graph.input, *model.graph.output, *model.graph.value_info,
                 *model.graph.initializer, *model.functions):  # fmt: skip
        del part.metadata_props[:]  # the exporter's notes on the origin of each node
    return described(model, description)


def name_the_batch(graph: onnx.GraphProto) -> None:
    """Name the number of images `batch` instead of torch's symbol, also in expressions such as 197*batch."""
    number = graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.HasField("dim_param"):
                dimension.dim_param = re.sub(rf"\b{number}\b", "batch", dimension.dim_param)


def described(model: onnx.ModelProto, description: dict[str, str]) -> bytes:
    """Return a model's bytes with the description as its metadata."""
    onnx.helper.set_model_props(model, description)
    return model.SerializeToString(deterministic=True)
