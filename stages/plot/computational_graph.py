"""Figure 1: problem 1's computational graph as the backprop stage traced it, forward and backward.

Each value that an operation makes, and the first input, is in the row; the other inputs are above. Solid edges are the
forward pass, dashed edges the gradients, each with its local derivative.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from plumbline.presentation.figure_style import BLUE, VERMILION

FORWARD, BACKWARD = BLUE, VERMILION
STEP = 2.6  # between two values of the row
ABOVE = 2.2  # of the row

Graph = dict[str, list[dict[str, str]]]
Positions = dict[str, tuple[float, float]]


def draw_graph(graph: Graph) -> Figure:
    """Return the figure for `nodes` and `edges` as data/derivations/computational_graph.json holds them."""
    places = positions(graph)
    right = max(x for x, _ in places.values())
    figure = Figure(figsize=(max(6.4, 1.0 + 0.78 * right), 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.9, right + 0.9), ylim=(-1.9, ABOVE + 1.3))
    axes.axis("off")
    for node in graph["nodes"]:
        draw_node(axes, node, places[node["name"]])
    for edge in graph["edges"]:
        draw_edge(axes, places[edge["source"]], places[edge["target"]], edge["gradient"])
    axes.text(-0.8, ABOVE + 1.0, "solid: forward", color=FORWARD)
    axes.text(
        1.6,
        ABOVE + 1.0,
        r"dashed: backward; $\partial_v$ is the derivative of $L$ by $v$",
        color=BACKWARD,
        parse_math=True,
    )
    return figure


def positions(graph: Graph) -> Positions:
    """Return the position of each value: in the row if an operation makes it or it is the first input, else above."""
    sources = {}
    for edge in graph["edges"]:
        sources.setdefault(edge["target"], []).append(edge["source"])
    row = [graph["nodes"][0]["name"], *(node["name"] for node in graph["nodes"] if node["name"] in sources)]
    places = {name: (STEP * i, 0.0) for i, name in enumerate(row)}
    for target, names in sources.items():
        for name in names:
            places.setdefault(name, (places[target][0], ABOVE))
    return places


def draw_node(axes: Axes, node: dict[str, str], place: tuple[float, float]) -> None:
    """Draw a value in a circle, and below it its operation, shape and equation."""
    x, y = place
    circle = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "black"}
    axes.text(
        x, y, f"${node['symbol']}$", ha="center", va="center", fontsize=14, bbox=circle, zorder=3, parse_math=True
    )
    below = [f"${node['symbol']} = {node['operation']}$"] if node["operation"] else []
    below += [node["shape"]] + ([f"({node['number']})"] if node["number"] else [])
    if node["operation"]:
        axes.text(x, y - 1.0, "\n".join(below), ha="center", va="top", fontsize=9, parse_math=True)
    else:
        side = -0.45 if y == 0 else 0.42
        axes.text(x, y + side, node["shape"], ha="center", va="top" if y == 0 else "bottom", fontsize=9)


def draw_edge(axes: Axes, source: tuple[float, float], target: tuple[float, float], gradient: str) -> None:
    """Draw an edge forward, and beside it the gradient back."""
    vertical = source[0] == target[0]
    arrow(axes, source, target, FORWARD, bend=0)
    arrow(axes, target, source, BACKWARD, bend=0.28 if vertical else -0.3)
    middle = ((source[0] + target[0]) / 2, (source[1] + target[1]) / 2)
    style = {"color": BACKWARD, "fontsize": 10.5, "parse_math": True}
    if vertical:
        axes.text(middle[0] + 0.42, middle[1] + 0.1, f"${gradient}$", ha="left", va="center", **style)
    else:
        axes.text(middle[0], middle[1] - 0.52, f"${gradient}$", ha="center", va="top", **style)


def arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], color: str, *, bend: float) -> None:
    """Draw an arrow between two values: solid is forward, dashed backward."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=14,
            shrinkA=20,
            shrinkB=20,
            color=color,
            linestyle="-" if color == FORWARD else (0, (4, 2)),
            connectionstyle=f"arc3,rad={bend}",
        )
    )
