"""The receptive field: how many pixels of the image, in height, each value of a layer's output depends on.

Along the traced graph a layer that reaches over r values of its input, which lie `jump` pixels apart, widens the
field by (r - 1) jump, and its stride multiplies the jump. The field of a sum or a concatenation is that of its widest
input. A linear layer on a map (B, H, W, C) keeps to one place; one on tokens may mix them. Global pooling, flattening
to a vector, normalisation over groups of channels and attention to all tokens have the whole image as their field. How
far attention within windows reaches is not known here.
Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks", distill.pub.
"""

import copy
import math
from dataclasses import dataclass

import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torchvision.models.feature_extraction import NodePathTracer

from plumbline.model.families import traced_whole

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
GLOBAL = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.GroupNorm, nn.MultiheadAttention)
GLOBAL_FUNCTIONS = {"mean", "adaptive_avg_pool2d", "group_norm"}
UNKNOWN_FUNCTIONS = {"shifted_window_attention", "einsum", "matmul", "scaled_dot_product_attention", "conv2d"}
WHOLE, UNKNOWN = math.inf, math.nan


@dataclass(frozen=True)
class Field:
    """The receptive field of one value."""

    size: float  # pixels, in height; 0 of what depends on no image, WHOLE for all of them
    jump: int  # pixels between two neighbouring values


def receptive_fields(network: nn.Module, crop: int) -> dict[str, int] | None:
    """Return the field of each convolution and linear layer by name, at most `crop` pixels, where it is known.

    None if torch.fx cannot trace the network, because its path depends on values.
    """
    network = copy.deepcopy(network).eval()
    try:
        graph = NodePathTracer(**traced_whole(network)).trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError):
        return None
    device = next(network.parameters()).device
    with torch.no_grad():
        ShapeProp(fx.GraphModule(network, graph)).propagate(torch.zeros(1, 3, crop, crop, device=device))
    modules = dict(network.named_modules())
    fields: dict[fx.Node, Field] = {}
    by_layer = {}
    for node in graph.nodes:
        fields[node] = field_of(node, [fields[each] for each in node.all_input_nodes], modules)
        is_layer = node.op == "call_module" and isinstance(modules[node.target], (nn.Conv2d, nn.Linear))
        if is_layer and not math.isnan(fields[node].size):
            by_layer[node.target] = int(min(fields[node].size, crop))
    return by_layer


def field_of(node: fx.Node, inputs: list[Field], modules: dict[str, nn.Module]) -> Field:
    """Return the field of a node's values from those of its inputs."""
    if not inputs:
        return Field(1 if node.op == "placeholder" else 0, 1)
    widest = Field(widest_of([each.size for each in inputs]), max(each.jump for each in inputs))
    if widest.size == 0:
        return widest
    module = modules[node.target] if node.op == "call_module" else None
    if isinstance(module, WINDOWS):
        kernel, stride, dilation = (height_of(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
        return Field(widest.size + dilation * (kernel - 1) * widest.jump, widest.jump * stride)
    name = node.target if isinstance(node.target, str) else node.target.__name__
    on_tokens = isinstance(module, nn.Linear) and dimensions(node) == 3
    is_global = isinstance(module, GLOBAL) or (module is None and name in GLOBAL_FUNCTIONS)
    if is_global or on_tokens or becomes_a_vector(node):
        return Field(WHOLE, widest.jump)
    if module is None and name in UNKNOWN_FUNCTIONS:
        return Field(widest_of([widest.size, UNKNOWN]), widest.jump)
    if name in ("max_pool2d", "avg_pool2d"):
        kernel = height_of(argument(node, 1, "kernel_size"))
        stride = height_of(argument(node, 2, "stride") or kernel)
        return Field(widest.size + (kernel - 1) * widest.jump, widest.jump * stride)
    return widest


def widest_of(sizes: list[float]) -> float:
    """Return the largest size: the whole image if one is that, else an unknown one if one is unknown."""
    if WHOLE in sizes:
        return WHOLE
    return UNKNOWN if any(map(math.isnan, sizes)) else max(sizes)


def becomes_a_vector(node: fx.Node) -> bool:
    """Return whether a map or tokens (B, ...) become one vector an image (B, F), as by `flatten`, `view`, `reshape`."""
    before, after = (dimensions(each) for each in (node.all_input_nodes[0], node))
    return before is not None and before > 2 and after == 2


def dimensions(node: fx.Node) -> int | None:
    """Return the number of dimensions of a node's value, None if it is not one tensor."""
    return len(getattr(node.meta.get("tensor_meta"), "shape", ())) or None


def argument(node: fx.Node, place: int, name: str) -> int | tuple[int, int] | None:
    """Return a function's argument, given by place or by name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)


def height_of(value: int | tuple[int, int]) -> int:
    """Return the first of what torch gives as height and width."""
    return value if isinstance(value, int) else value[0]
