"""Trace problem 1's computational graph from the very code of the forward pass, with its local derivatives.

torch.fx gives the operations and the edges between them. This module names them as the homework does, adds to each edge
its local derivative, and compares the gradients that follow with autograd's.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch
from torch import fx

from plumbline.checks.claims import Checks
from stages.backprop import hidden_layer
from stages.backprop.gradient_checks import AUTOGRAD_LIMIT, relative_error
from stages.backprop.worked_example import example, shown

SIZES = {"n": 2, "d": 3, "h": 4, "o": 5}  # all different, so that each size has one letter


@dataclass(frozen=True)
class Node:
    """A value of the graph."""

    name: str  # torch.fx's
    symbol: str  # LaTeX, the homework's
    operation: str  # LaTeX, what makes it; empty for an input
    shape: str  # in letters, as "(n, d)"
    number: str  # of the homework's equation; empty where there is none
    example: str  # its value in the worked example, a row a line
    example_gradient: str  # L's derivative by it there


@dataclass(frozen=True)
class Edge:
    """A value that an operation takes."""

    source: str
    target: str
    gradient: str  # LaTeX: what flows back along this edge


@dataclass(frozen=True)
class ComputationalGraph:
    """Values in the order in which the forward pass makes them, and edges between them."""

    nodes: list[Node]
    edges: list[Edge]

    def as_dict(self) -> dict[str, list[dict[str, str]]]:
        """Return it as plain lists and dictionaries."""
        return asdict(self)


# What the traced operations are, in the order in which they come: symbol, operation in LaTeX, equation.
OPERATIONS = (
    ("matmul", "Z", "X W_1", "0.1"),
    ("sigma", "u", r"\sigma(Z)", "0.2"),
    ("matmul", r"\hat{y}", "u W_2", "0.3"),
    ("sub", "e", r"\hat{y} - y", ""),
    ("pow", "s", r"e \odot e", ""),
    ("sum", "L", r"\Sigma\, s", "0.4"),
)
INPUTS = {"X": "X", "W1": "W_1", "W2": "W_2", "y": "y"}

Gradient = Callable[[torch.Tensor, list[torch.Tensor], torch.Tensor], torch.Tensor]

# For each symbol and the place of an input: the gradient that flows back to it, in LaTeX and as code that takes
# the output's gradient, the operation's inputs, and its output.
LOCAL: dict[tuple[str, int], tuple[str, Gradient]] = {
    ("Z", 0): (r"\partial_Z\, W_1^T", lambda g, a, out: g @ a[1].T),
    ("Z", 1): (r"X^T\, \partial_Z", lambda g, a, out: a[0].T @ g),
    ("u", 0): (r"\partial_u \odot u \odot (1 - u)", lambda g, a, out: g * out * (1 - out)),
    (r"\hat{y}", 0): (r"\partial_{\hat{y}}\, W_2^T", lambda g, a, out: g @ a[1].T),
    (r"\hat{y}", 1): (r"u^T\, \partial_{\hat{y}}", lambda g, a, out: a[0].T @ g),
    ("e", 0): (r"\partial_e", lambda g, a, out: g),
    ("e", 1): (r"-\partial_e", lambda g, a, out: -g),
    ("s", 0): (r"2\, e \odot \partial_s", lambda g, a, out: 2 * a[0] * g),
    ("L", 0): (r"\partial_s = 1", lambda g, a, out: g * torch.ones_like(a[0])),
}


def trace() -> fx.Graph:
    """Return torch.fx's trace of the forward pass and the loss, sigma kept as one operation."""

    def problem_1(X: torch.Tensor, W1: torch.Tensor, W2: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return hidden_layer.loss(hidden_layer.forward(X, W1, W2).y_hat, y)

    return fx.Tracer().trace(problem_1)


def check_graph(checks: Checks) -> ComputationalGraph:
    """Trace the graph, compare the gradient along every edge with autograd's, and return the graph."""
    traced = [node for node in trace().nodes if node.op != "output"]
    operations = [operation_of(node) for node in traced if node.op != "placeholder"]
    checks.expect_equal(
        operations, [name for name, *_ in OPERATIONS], "the forward pass's operations are those that are traced"
    )
    made = iter(OPERATIONS)
    named = {node: ("", INPUTS[node.target], "", "") if node.op == "placeholder" else next(made) for node in traced}
    values = run(traced, hidden_layer.random_network(*SIZES.values()))
    worst = largest_error(traced, named, values)
    checks.expect_error(worst, AUTOGRAD_LIMIT, "what flows back along every edge of the graph is autograd's gradient")
    of_example = run(traced, example())
    nodes = [
        Node(
            node.name,
            symbol,
            operation,
            in_letters(values[node].shape),
            number,
            in_numbers(of_example[node].detach()),
            in_numbers(of_example[node].grad),
        )
        for node, (_, symbol, operation, number) in named.items()
    ]
    edges = [
        Edge(source.name, node.name, LOCAL[named[node][1], place][0])
        for node in traced
        for place, source in enumerate(node.all_input_nodes)
    ]
    return ComputationalGraph(nodes, edges)


def operation_of(node: fx.Node) -> str:
    """Return the name of a traced node's operation."""
    return node.target if isinstance(node.target, str) else node.target.__name__


def run(traced: list[fx.Node], network: tuple[torch.Tensor, ...]) -> dict[fx.Node, torch.Tensor]:
    """Return every node's value for X, W1, W2 and y, with its gradient kept by autograd."""
    inputs = dict(zip(("X", "W1", "W2", "y"), network, strict=True))
    values: dict[fx.Node, torch.Tensor] = {}
    for node in traced:
        if node.op == "placeholder":
            values[node] = inputs[node.target].requires_grad_()
        else:
            arguments = fx.map_arg(node.args, values.__getitem__)
            first, *rest = arguments
            values[node] = getattr(first, node.target)(*rest) if node.op == "call_method" else node.target(*arguments)
            values[node].retain_grad()
    values[traced[-1]].backward()
    return values


def largest_error(traced: list[fx.Node], named: dict, values: dict[fx.Node, torch.Tensor]) -> float:
    """Return the largest relative error of the gradients that the edges' formulas give."""
    errors = []
    for node in traced:
        for place, source in enumerate(node.all_input_nodes):
            _, formula = LOCAL[named[node][1], place]
            arguments = [values[each].detach() for each in node.all_input_nodes]
            gradient = formula(values[node].grad, arguments, values[node].detach())
            errors.append(relative_error(gradient, values[source].grad))
    return max(errors)


def in_numbers(matrix: torch.Tensor) -> str:
    """Return a matrix or a number in writing, a row a line."""
    return "\n".join("  ".join(shown(each) for each in row) for row in torch.atleast_2d(matrix).tolist())


def in_letters(shape: torch.Size) -> str:
    """Return a shape with the letters of SIZES."""
    letters = {size: letter for letter, size in SIZES.items()}
    return f"({', '.join(letters[size] for size in shape)})" if shape else "one number"
