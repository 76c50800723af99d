"""Cut a network in two behind `finetune.freeze`: a frozen part, and one that is trained on what the frozen puts out.

Both are graphs of torch.fx over the network's own modules, so that they share its tensors.
"""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import fx, nn
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from plumbline.model.families import traced_whole
from plumbline.model.head import head_name
from plumbline.run.errors import UserError
from stages.finetune.synchronised_batch_norm import SynchronisedBatchNorm

BACKBONE = "backbone"  # everything but the head


@dataclass(frozen=True)
class Cut:
    """Both parts of a network, sharing its tensors."""

    frozen: nn.Module  # from inputs (B, 3, H, W) to activations (B, ...); always as in evaluation
    trained: nn.Module  # from activations to logits (B, classes)
    trained_keys: frozenset[str]  # of the tensors in the network's state_dict that can change


class TwoGraphs(nn.Module):
    """One graph for training and one for evaluation, over the same modules: dropout is in the first alone."""

    def __init__(self, training: fx.GraphModule, evaluation: fx.GraphModule) -> None:
        super().__init__()
        self.in_training, self.in_evaluation = training, evaluation

    def forward(self, activations: torch.Tensor) -> torch.Tensor:
        return (self.in_training if self.training else self.in_evaluation)(activations)


def cut_network(network: nn.Module, architecture: str, freeze: str) -> Cut:
    """Cut a network behind a layer, or for `backbone` in front of the head.

    Raises UserError for a layer that the network lacks, one that other paths lead past, and one with nothing behind.
    """
    training, evaluation = graphs_with_cut(network.eval(), architecture, freeze)
    keys = network.state_dict().keys()
    trained_keys = frozenset(key for key in keys if any(is_within(key, name) for name in names_behind(training)))
    if not any(key in trained_keys for key, _ in network.named_parameters()):
        raise UserError(
            f"finetune.freeze is {freeze!r}, behind which nothing is left to train: choose an earlier layer"
        )
    frozen = subgraph(evaluation.frozen, None, freeze)
    behind = [fx.GraphModule(network, subgraph(ends.logits, ends.frozen, freeze)) for ends in (training, evaluation)]
    return Cut(fx.GraphModule(network, frozen).eval(), TwoGraphs(*behind), trained_keys)


@dataclass(frozen=True)
class Ends:
    """Two nodes of one graph: where the frozen part ends, and where the network ends."""

    frozen: fx.Node
    logits: fx.Node


def graphs_with_cut(network: nn.Module, architecture: str, freeze: str) -> list[Ends]:
    """Trace the network as it trains and as it evaluates, and find both ends in each graph."""
    whole = traced_whole(network)
    head = type(network.get_submodule(head_name(architecture)))  # some of timm's have a linear layer of its own
    whole["leaf_modules"] = [*whole["leaf_modules"], head, SynchronisedBatchNorm]  # one operation, as torch's own are
    try:
        names = get_graph_node_names(network, tracer_kwargs=whole, suppress_diff_warning=True)
    except fx.proxy.TraceError:
        raise UserError(
            f"finetune.freeze is {freeze!r}, and torch.fx cannot trace {architecture}, whose path depends on values: "
            "set it to null, or finetune.first_layer_lr to a small share"
        ) from None
    training, evaluation = (nodes_of_ends(own, architecture, freeze) for own in names)
    extractor = create_feature_extractor(
        network,
        train_return_nodes=training,
        eval_return_nodes=evaluation,
        tracer_kwargs=whole,
        suppress_diff_warning=True,
    )
    return [ends_in(extractor.train(mode).graph, architecture, freeze) for mode in (True, False)]


def nodes_of_ends(names: list[str], architecture: str, freeze: str) -> dict[str, str]:
    """Return which of a graph's nodes, in the order of their computation, are to be found again as the ends."""
    wanted = {names[-1]: "logits"}
    if freeze != BACKBONE:
        refuse_unknown_layer(freeze, names, architecture)
        if is_within(names[-1], freeze):
            raise UserError(f"finetune.freeze is {freeze!r}, behind which nothing is trained: choose an earlier layer")
        wanted[freeze] = "frozen"
    return wanted


def ends_in(graph: fx.Graph, architecture: str, freeze: str) -> Ends:
    """Return both ends of a graph that puts out what `nodes_of_ends` names."""
    (output,) = (node for node in graph.nodes if node.op == "output")
    ends = output.args[0]
    frozen = ends["frozen"] if freeze != BACKBONE else input_of_head(graph, architecture)
    return Ends(frozen, ends["logits"])


def refuse_unknown_layer(freeze: str, names: list[str], architecture: str) -> None:
    """Raise UserError unless a name, or the part of one before a dot, is the layer's."""
    parts = (name.split(".") for name in names)
    known = list(dict.fromkeys(".".join(part[:i]) for part in parts for i in range(1, len(part) + 1)))
    if freeze in known:
        return
    close = difflib.get_close_matches(freeze, [*known, BACKBONE], n=1)
    hint = f"did you mean {close[0]}?" if close else f"it has {', '.join(n for n in known if '.' not in n)}"
    raise UserError(f"finetune.freeze is {freeze!r}, a layer that {architecture} lacks; {hint}")


def input_of_head(graph: fx.Graph, architecture: str) -> fx.Node:
    """Return the node whose value the head takes."""
    head = head_name(architecture)
    (node,) = (node for node in graph.nodes if node.op == "call_module" and node.target == head)
    return node.args[0]


def ancestors(node: fx.Node, stop: fx.Node | None) -> set[fx.Node]:
    """Return the node and all that it is computed from, back to `stop`, which is among them."""
    visited, waiting = set(), [node]
    while waiting:
        current = waiting.pop()
        if current not in visited:
            visited.add(current)
            waiting += [] if current is stop else current.all_input_nodes
    return visited


def subgraph(end: fx.Node, start: fx.Node | None, freeze: str) -> fx.Graph:
    """Return what leads from `start`, or from the network's input, to `end`, as a graph of its own.

    Raises UserError if something else leads there from the network's input.
    """
    needed, graph, copies = ancestors(end, start), fx.Graph(), {}
    for node in end.graph.nodes:
        if node is start:
            copies[node] = graph.placeholder("activations")
        elif node.op == "placeholder" and node.args:  # an option of the network, such as a mask: its default value
            copies[node] = node.args[0]
        elif node in needed:
            if start is not None and node.op == "placeholder":
                raise UserError(
                    f"finetune.freeze is {freeze!r}, past which the network has another path: choose a whole block"
                )
            copies[node] = graph.node_copy(node, copies.__getitem__)
    graph.output(copies[end])
    return graph


def names_behind(ends: Ends) -> Iterable[str]:
    """Return the names of the modules and tensors that are used behind the cut."""
    behind = ancestors(ends.logits, ends.frozen) - {ends.frozen}
    return {str(node.target) for node in behind if node.op in ("call_module", "get_attr")}


def is_within(key: str, name: str) -> bool:
    """Say whether a tensor's name is `name`, or that of something inside it."""
    return key == name or key.startswith(f"{name}.")
