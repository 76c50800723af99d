"""The receptive field: how many pixels of the image, in height, each value of a layer's output depends on.

Along the traced graph a layer that reaches over r values of its input, which lie `jump` pixels apart, widens the
field by (r - 1) jump, and its stride multiplies the jump. The field of a sum or a concatenation is that of its widest
input. Operations that mix all positions (global pooling, attention, flattening) have the whole image as their field.
Source: Araujo, Norris and Sim 2019, "Computing receptive fields of convolutional neural networks", distill.pub.
"""

from dataclasses import dataclass

from torch import fx, nn
from torchvision.models.feature_extraction import NodePathTracer

from plumbline.model.families import traced_whole

WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
GLOBAL = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.Linear, nn.Flatten, nn.MultiheadAttention)
GLOBAL_FUNCTIONS = {
    "flatten",
    "mean",
    "adaptive_avg_pool2d",
    "reshape",
    "view",
    "matmul",
    "scaled_dot_product_attention",
}
WHOLE = float("inf")


@dataclass(frozen=True)
class Field:
    """The receptive field of one value."""

    size: float  # pixels, in height; WHOLE for all of them
    jump: int  # pixels between two neighbouring values


def receptive_fields(network: nn.Module, crop: int) -> dict[str, int] | None:
    """Return the field of each convolution and linear layer by name, at most `crop` pixels.

    None if torch.fx cannot trace the network, because its path depends on values.
    """
    try:
        graph = NodePathTracer(**traced_whole(network)).trace(network)
    except (fx.proxy.TraceError, TypeError, RuntimeError):
        return None
    modules = dict(network.named_modules())
    fields: dict[fx.Node, Field] = {}
    by_layer = {}
    for node in graph.nodes:
        fields[node] = field_of(node, [fields[each] for each in node.all_input_nodes], modules)
        if node.op == "call_module" and isinstance(modules[node.target], (nn.Conv2d, nn.Linear)):
            by_layer[node.target] = int(min(fields[node].size, crop))
    return by_layer


def field_of(node: fx.Node, inputs: list[Field], modules: dict[str, nn.Module]) -> Field:
    """Return the field of a node's values from those of its inputs."""
    if not inputs:
        return Field(1, 1)
    widest = Field(max(each.size for each in inputs), max(each.jump for each in inputs))
    module = modules[node.target] if node.op == "call_module" else None
    if isinstance(module, WINDOWS):
        kernel, stride, dilation = (height_of(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation"))
        return Field(widest.size + dilation * (kernel - 1) * widest.jump, widest.jump * stride)
    name = node.target if isinstance(node.target, str) else node.target.__name__
    if isinstance(module, GLOBAL) or (module is None and name in GLOBAL_FUNCTIONS):
        return Field(WHOLE, widest.jump)
    if name in ("max_pool2d", "avg_pool2d"):
        kernel = height_of(argument(node, 1, "kernel_size"))
        stride = height_of(argument(node, 2, "stride") or kernel)
        return Field(widest.size + (kernel - 1) * widest.jump, widest.jump * stride)
    return widest


def argument(node: fx.Node, place: int, name: str) -> int | tuple[int, int] | None:
    """Return a function's argument, given by place or by name."""
    return node.args[place] if len(node.args) > place else node.kwargs.get(name)


def height_of(value: int | tuple[int, int]) -> int:
    """Return the first of what torch gives as height and width."""
    return value if isinstance(value, int) else value[0]
