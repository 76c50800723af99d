"""The page's sliders, moved by the keyboard: what they say is what torch says."""

from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from stages.backprop.cost import torch_macs
from stages.report import __main__ as report
from stages.weight_decay.stable_step_sizes import stable_step_size
from stages.weight_decay.updates import Momentum, trajectory_of_sgd
from tests.support.browser import opened


def set_by_keyboard(page: Page, name: str, value: float) -> None:
    """Move a slider to a value as the keyboard does: to one end, and then step by step."""
    slider = page.locator(f".live input[name={name}]")
    lowest, step = (float(slider.get_attribute(key)) for key in ("min", "step"))
    slider.focus()
    page.keyboard.press("Home")
    for _ in range(round((value - lowest) / step)):
        page.keyboard.press("ArrowRight")
    assert float(slider.input_value()) == pytest.approx(value)


def words_of(page: Page, figure: str) -> str:
    return page.locator(f".live[data-figure={figure}] .words").inner_text()


@pytest.mark.slow
def test_the_sliders_give_what_torch_gives_and_paper_has_the_defaults(tiny_project: Path) -> None:
    with opened(tiny_project / report.PAGE) as page:
        printed = {name: words_of(page, name) for name in ("passes", "convolution", "decay")}
        assert "1.013 times" in printed["passes"]  # d = 784, o = 10
        assert "14 x 14 values" in printed["convolution"]

        for name, value in {"d": 5, "h": 3, "o": 4}.items():
            set_by_keyboard(page, name, value)
        forward, backward = torch_macs(1, 5, 3, 4, input_gradient=False)
        assert f"costs {backward / forward:.4g} times" in words_of(page, "passes")

        for options in ({"stride": 2, "padding": 1, "dilation": 2}, {"stride": 3, "padding": 0, "dilation": 1}):
            for name, value in ({"size": 11, "kernel": 4, "channels": 2, "filters": 3} | options).items():
                set_by_keyboard(page, name, value)
            layer = nn.Conv2d(2, 3, 4, **options)
            with FlopCounterMode(display=False) as count:
                size = layer(torch.zeros(1, 2, 11, 11)).shape[2]
            words = words_of(page, "convolution")
            assert f"gives {size} x {size} values" in words
            assert f"{count.get_total_flops() // 2:,} multiply-adds" in words
            assert f"{sum(each.numel() for each in layer.parameters()):,} parameters" in words
        set_by_keyboard(page, "size", 1)
        assert "does not fit" in words_of(page, "convolution")

        for alpha, beta in ((0.3, 0.5), (2.5, 0.5), (3.0, 0.2)):
            for name, value in {"alpha": alpha, "lambda": 0.1, "beta": beta, "mu": 0.8}.items():
                set_by_keyboard(page, name, value)
            momentum = Momentum("", beta)
            bound = stable_step_size(0.8, 0.1, momentum)
            assert (
                f"\N{GREEK SMALL LETTER ALPHA} is {alpha / bound:.4g} times the largest stable step size, {bound:.4g}:"
                in words_of(page, "decay")
            )
            w = torch.ones(1, dtype=torch.float64)
            weights = trajectory_of_sgd(lambda w: (0.8 * w**2 / 2).sum(), w, alpha, 0.1, 40, momentum)
            drawn = page.locator(".live .curve").get_attribute("points").split()
            heights = [float(point.split(",")[1]) for point in drawn]
            sizes = weights.abs().clamp(1e-6, 1e6).log10().flatten()
            assert heights[1:] == pytest.approx((190 - 178 * (sizes + 6) / 12).tolist(), abs=1e-6)

        page.evaluate("() => window.dispatchEvent(new Event('beforeprint'))")
        assert {name: words_of(page, name) for name in printed} == printed
        page.evaluate("() => window.dispatchEvent(new Event('afterprint'))")
        assert words_of(page, "decay") != printed["decay"]
