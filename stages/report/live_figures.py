"""The figures with sliders, one a problem; live_figures.js draws them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Slider:
    """A number that the reader may move."""

    name: str  # as live_figures.js knows it
    label: str
    lowest: float
    highest: float
    step: float
    value: float  # where it starts, and what is printed


@dataclass(frozen=True)
class LiveFigure:
    """A figure with its sliders; `name` is that of a function in live_figures.js."""

    name: str
    caption: str
    sliders: list[Slider]


LIVE_FIGURES = {
    "backprop": LiveFigure(
        "passes",
        "Try it: what both passes cost for a sample, by the widths of the layers.",
        [
            Slider("d", "inputs d", 1, 1024, 1, 784),
            Slider("h", "hidden units h", 1, 512, 1, 64),
            Slider("o", "outputs o", 1, 1024, 1, 10),
        ],
    ),
    "convolution": LiveFigure(
        "convolution",
        "Try it: the size of the output, and what the layer costs. Marked is what one value of Z sees.",
        [
            Slider("size", "pixels of X", 1, 64, 1, 16),
            Slider("kernel", "kernel", 1, 9, 1, 3),
            Slider("stride", "stride", 1, 5, 1, 1),
            Slider("padding", "padding", 0, 5, 1, 0),
            Slider("dilation", "dilation", 1, 4, 1, 1),
            Slider("channels", "input channels N", 1, 64, 1, 10),
            Slider("filters", "output channels M", 1, 64, 1, 20),
        ],
    ),
    "weight_decay": LiveFigure(
        "decay",
        "Try it: a weight on a quadratic loss of curvature mu, with weight decay lambda and momentum beta.",
        [
            Slider("alpha", "step size alpha", 0.01, 4, 0.01, 1.6),
            Slider("lambda", "weight decay lambda", 0, 1, 0.01, 0.05),
            Slider("beta", "momentum beta", 0, 0.95, 0.05, 0),
            Slider("mu", "curvature mu", 0, 4, 0.1, 1),
        ],
    ),
}
