"""Figure 1: problem 1's computational graph as the backprop stage traced it, forward and backward.

Each value that an operation makes, and the first input, is in a row; the other inputs are beside it: above, or for a
phone, where the row goes down, to the left. Solid edges are the forward pass, dashed edges the gradients, each with its
local derivative.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch

from plumbline.presentation.figure_style import BLUE, VERMILION

FORWARD, BACKWARD = BLUE, VERMILION
STEP = 2.6  # between two values of the row
BESIDE = 2.2  # of the row
LEGEND = ("solid: forward", r"dashed: backward; $\partial_v$ is the derivative of $L$ by $v$")

Graph = dict[str, list[dict[str, str]]]
Positions = dict[str, tuple[float, float]]  # along the row, and beside it


def draw_graph(graph: Graph) -> Figure:
    """Return the figure for `nodes` and `edges` as data/derivations/computational_graph.json holds them."""
    places = positions(graph)
    end = max(along for along, _ in places.values())
    figure = Figure(figsize=(max(6.4, 1.0 + 0.78 * end), 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.9, end + 0.9), ylim=(-1.9, BESIDE + 1.3))
    axes.axis("off")
    for node in graph["nodes"]:
        x, y = places[node["name"]]
        draw_value(axes, node, (x, y))
        if node["operation"]:
            axes.text(x, y - 1.0, described(node), ha="center", va="top", fontsize=9, parse_math=True)
        else:
            side = -0.45 if y == 0 else 0.42
            axes.text(x, y + side, node["shape"], ha="center", va="top" if y == 0 else "bottom", fontsize=9)
    for edge in graph["edges"]:
        draw_edge(axes, places[edge["source"]], places[edge["target"]], edge["gradient"])
    axes.text(-0.8, BESIDE + 1.0, LEGEND[0], color=FORWARD)
    axes.text(1.6, BESIDE + 1.0, LEGEND[1], color=BACKWARD, parse_math=True)
    return figure


def draw_tall_graph(graph: Graph) -> Figure:
    """Return the same graph for a phone: the row goes down."""
    places = {name: (-beside, -along) for name, (along, beside) in positions(graph).items()}
    end = min(y for _, y in places.values())
    figure = Figure(figsize=(3.7, 0.6 + 0.5 * (2.5 - end)), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-BESIDE - 0.9, 3.1), ylim=(end - 0.6, 1.9))
    axes.axis("off")
    for node in graph["nodes"]:
        x, y = places[node["name"]]
        draw_value(axes, node, (x, y))
        below = x < 0
        axes.text(
            x if below else x + 0.75,
            y - 0.6 if below else y,
            described(node),
            ha="center" if below else "left",
            va="top" if below else "center",
            fontsize=9,
            parse_math=True,
        )
    for edge in graph["edges"]:
        draw_edge(axes, places[edge["source"]], places[edge["target"]], edge["gradient"])
    for line, (text, color) in enumerate(zip(LEGEND, (FORWARD, BACKWARD), strict=True)):
        axes.text(-BESIDE - 0.8, 1.7 - 0.5 * line, text, color=color, fontsize=9, parse_math=True)
    return figure


def positions(graph: Graph) -> Positions:
    """Return the position of each value: in the row if an operation makes it or it is the first input, else beside."""
    sources = {}
    for edge in graph["edges"]:
        sources.setdefault(edge["target"], []).append(edge["source"])
    row = [graph["nodes"][0]["name"], *(node["name"] for node in graph["nodes"] if node["name"] in sources)]
    places = {name: (STEP * i, 0.0) for i, name in enumerate(row)}
    for target, names in sources.items():
        for name in names:
            places.setdefault(name, (places[target][0], BESIDE))
    return places


def described(node: dict[str, str]) -> str:
    """Return a value's operation, shape and equation, a line each."""
    operation = [f"${node['symbol']} = {node['operation']}$"] if node["operation"] else []
    return "\n".join([*operation, node["shape"], *([f"({node['number']})"] if node["number"] else [])])


def draw_value(axes: Axes, node: dict[str, str], place: tuple[float, float]) -> None:
    """Draw a value in a circle."""
    circle = {"boxstyle": "circle,pad=0.35", "facecolor": "white", "edgecolor": "black"}
    style = {"ha": "center", "va": "center", "fontsize": 14, "zorder": 3, "parse_math": True}
    axes.text(*place, f"${node['symbol']}$", bbox=circle, **style)


def draw_edge(axes: Axes, source: tuple[float, float], target: tuple[float, float], gradient: str) -> None:
    """Draw an edge forward, and beside it the gradient back."""
    down = source[0] == target[0]
    arrow(axes, source, target, FORWARD, bend=0)
    arrow(axes, target, source, BACKWARD, bend=0.28 if down else -0.3)
    middle = ((source[0] + target[0]) / 2, (source[1] + target[1]) / 2)
    style = {"color": BACKWARD, "fontsize": 10.5, "parse_math": True}
    if down:
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
