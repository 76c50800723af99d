"""Figure 1: problem 1's computational graph as the backprop stage traced it, forward and backward.

Each value that an operation makes, and the first input, is in a row; the other inputs are beside it: above, or for a
phone, where the row goes down, to the left. Solid edges are the forward pass, dashed edges the gradients, each with its
local derivative.
"""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, TextArea, VPacker
from matplotlib.patches import FancyArrowPatch

from plumbline.presentation.figure_style import BLUE, VERMILION

FORWARD, BACKWARD = BLUE, VERMILION
STEP = 2.6  # between two values of the row
BESIDE = 2.2  # of the row
NUMBERS = {"example": FORWARD, "example_gradient": BACKWARD}
LEGEND = ("solid: forward", r"dashed: backward; $\partial_v$ is the derivative of $L$ by $v$")

Graph = dict[str, list[dict[str, str]]]
Positions = dict[str, tuple[float, float]]  # along the row, and beside it


def draw_graph(graph: Graph, *, numbers: bool = False) -> Figure:
    """Return the figure for `nodes` and `edges` as data/derivations/computational_graph.json holds them.

    With `numbers` each value has, in place of its operation and shape, its numbers in the worked example.
    """
    places = positions(graph)
    end = max(along for along, _ in places.values())
    figure = Figure(figsize=(max(6.4, 1.0 + 0.78 * end), 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set(xlim=(-0.9, end + 0.9), ylim=(-1.9, BESIDE + (1.8 if numbers else 1.3)))
    axes.axis("off")
    for node in graph["nodes"]:
        x, y = places[node["name"]]
        draw_value(axes, node, (x, y))
        if y > 0:
            write(axes, node, (x, y + 0.45), numbers, ha="center", va="bottom")
        else:
            write(axes, node, (x, y - (1.0 if node["operation"] else 0.45)), numbers, ha="center", va="top")
    for edge in graph["edges"]:
        draw_edge(axes, places[edge["source"]], places[edge["target"]], edge["gradient"])
    height = BESIDE + (1.5 if numbers else 1.0)
    axes.text(-0.8, height, LEGEND[0], color=FORWARD)
    axes.text(1.6, height, LEGEND[1], color=BACKWARD, parse_math=True)
    return figure


def draw_tall_graph(graph: Graph, *, numbers: bool = False) -> Figure:
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
        if x < 0:
            write(axes, node, (x, y - 0.6), numbers, ha="center", va="top")
        else:
            write(axes, node, (x + 0.75, y), numbers, ha="left", va="center")
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


def write(axes: Axes, node: dict[str, str], place: tuple[float, float], numbers: bool, **alignment: str) -> None:
    """Write beside a value what it is, or its numbers: in the forward pass, and below them its gradient's."""
    if not numbers:
        axes.text(*place, described(node), fontsize=9, parse_math=True, **alignment)
        return
    parts = [TextArea(node[key], textprops={"color": color, "fontsize": 9}) for key, color in NUMBERS.items()]
    box = VPacker(children=parts, align="left", pad=0, sep=2)
    anchors = {("center", "top"): (0.5, 1), ("center", "bottom"): (0.5, 0), ("left", "center"): (0, 0.5)}
    anchor = anchors[alignment["ha"], alignment["va"]]
    axes.add_artist(AnnotationBbox(box, place, frameon=False, box_alignment=anchor, pad=0))


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
